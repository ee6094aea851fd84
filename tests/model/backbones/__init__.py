"""Tests of model/backbones/."""
