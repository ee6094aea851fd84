"""How fast: `python -m model.bench`."""
