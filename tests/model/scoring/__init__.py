"""Tests of model/scoring/."""
