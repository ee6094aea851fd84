"""Studies with a definition: what their owner asks for, what raters are shown, and what comes of their ratings.

`definition` reads the YAML file, `sources` finds its images, `lifecycle` keeps both in the database, `order` decides what a rater is shown
and when, `places` counts who has and who holds an image, `showing` puts that into the database, and `study` is the class that others use.
"""
