"""What a rater may be called. Names are pseudonyms: nothing else is kept about a rater."""

import unicodedata

from annotations.errors import AnnotationError

MAX_NAME_LENGTH = 60


def clean_name(name: str) -> str:
    """A rater's name in NFC, spaces joined and trimmed, without control or invisible formatting characters.

    Raises AnnotationError when nothing is left or more than MAX_NAME_LENGTH characters are.
    """
    if not isinstance(name, str):
        raise AnnotationError("Please give a name (any pseudonym will do) before rating.")
    spaced = "".join(" " if character.isspace() else character for character in unicodedata.normalize("NFC", name))
    # Category C: control, format (zero width, text direction), surrogate, private use, unassigned.
    visible = "".join(character for character in spaced if unicodedata.category(character)[0] != "C")
    cleaned = " ".join(visible.split())
    if not cleaned:
        raise AnnotationError("Please give a name (any pseudonym will do) before rating.")
    if len(cleaned) > MAX_NAME_LENGTH:
        raise AnnotationError(f"The name is too long: please use at most {MAX_NAME_LENGTH} characters.")
    return cleaned


def name_key(name: str) -> str:
    """What two spellings of one rater's name have in common; raises AnnotationError like `clean_name`."""
    return unicodedata.normalize("NFKC", clean_name(name)).casefold()
