"""How well scores agree with opinions."""
