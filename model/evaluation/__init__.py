"""How well scores agree with human ratings."""
