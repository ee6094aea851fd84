"""Tests of model/loading/."""
