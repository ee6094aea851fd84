"""Tests of model/readouts/."""
