"""The errors of model/. Each message is one sentence: what is wrong, where, and what to do."""


class ModelError(Exception):
    """The base class; str(error) is shown to the user."""


class ImageError(ModelError):
    """An image that cannot be read or is refused. The message omits the file name, which the caller adds."""


class ModelLoadError(ModelError):
    """A model that is unknown, incomplete or does not fit."""


class TooLittleMemory(ModelLoadError):
    """A model that does not fit into free memory. lacking: the missing bytes."""

    def __init__(self, sentence: str, lacking: float) -> None:
        super().__init__(sentence)
        self.lacking = lacking


class ScoringFailed(ModelError):
    """A model failed on some images. Other images, or smaller batches, may succeed."""


class OutOfMemory(ScoringFailed):
    """A batch was too large for the memory."""


class DataError(ModelError):
    """Labels or ratings that cannot be used."""


def first_line(error: Exception) -> str:
    """The first line of a library's error, without a full stop, to be quoted in a message."""
    return (str(error) or type(error).__name__).strip().splitlines()[0].rstrip(".")


def reason_of(error: OSError) -> str:
    """The operating system's reason in lower case, to be quoted in a message."""
    return (error.strerror or str(error) or type(error).__name__).lower()
