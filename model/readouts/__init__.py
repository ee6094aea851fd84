"""How a score is read off a backbone, and what teaches it: levels, readings, regressor, losses."""
