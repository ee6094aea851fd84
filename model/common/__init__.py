"""Shared by all of model/: errors, files, memory, devices, the command line."""
