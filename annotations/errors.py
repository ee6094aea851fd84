"""The one error type of this room."""


class AnnotationError(Exception):
    """Something that a person can put right: `str(error)` is one sentence naming the thing and the remedy."""
