"""Tests of model/finetuning/."""
