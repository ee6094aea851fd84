"""A runnable program for each use from Python; run them from the project's folder."""
