"""Tests of model/datasets/."""
