"""Tests of model/paper/."""
