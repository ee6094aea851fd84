"""Tests of model/common/."""
