"""How a score is read off a backbone, and the losses that train it: levels, readings, regressor, losses."""
