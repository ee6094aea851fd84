"""Tests of model/images/."""
