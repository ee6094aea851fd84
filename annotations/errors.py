"""The error type of this room; its kinds are those that a page tells apart."""


class AnnotationError(Exception):
    """Something that a person can put right: `str(error)` is one sentence naming the thing and the remedy."""


class NotOpen(AnnotationError):
    """A study that shows and takes nothing now."""


class NameTaken(AnnotationError):
    """A typed name under which somebody else rates."""


class NotPresented(AnnotationError):
    """An image that was not presented to whoever asks."""


class StorageError(AnnotationError):
    """The database or its folder could not be used: nothing was saved, and it may work later."""
