"""Training nano."""
