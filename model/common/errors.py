"""The errors of model/: each message is one clear sentence that names the thing and the remedy."""


class ModelError(Exception):
    """Anything that model/ refuses; str(error) is the sentence shown to the user."""


class ImageError(ModelError):
    """An image that cannot be read or is refused. The sentence leaves out the file's name: the caller adds it."""


class ModelLoadError(ModelError):
    """A model that is unknown, incomplete or does not fit."""


class TooLittleMemory(ModelLoadError):
    """A model that does not fit into what is free now: it lacks so many bytes."""

    def __init__(self, sentence: str, lacking: float) -> None:
        super().__init__(sentence)
        self.lacking = lacking


class ScoringFailed(ModelError):
    """A model that could not compute the scores of some images. Others, or fewer at once, may succeed."""


class OutOfMemory(ScoringFailed):
    """Memory was too little for so many images at once."""


class DataError(ModelError):
    """Labels or ratings that cannot be used."""


def first_line(error: Exception) -> str:
    """The first line of a library's error, to be quoted within a sentence."""
    return (str(error) or type(error).__name__).strip().splitlines()[0].rstrip(".")


def reason_of(error: OSError) -> str:
    """Why the operating system refused, in lower case, to stand inside a sentence."""
    return (error.strerror or str(error) or type(error).__name__).lower()
