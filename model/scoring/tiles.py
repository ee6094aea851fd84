"""The scores of an image's parts: where its quality suffers."""

from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from model.scoring.scorer import Scorer

ACROSS = 2  # parts in a row and in a column: what `python -m model.regions` measures
SMALLEST = 64  # pixels of a part's shorter side


def tiles(image: Image.Image, across: int = ACROSS) -> list[Image.Image]:
    """An image's across × across parts of equal size, row by row from the top left."""
    width, height = image.size
    columns = [round(width * n / across) for n in range(across + 1)]
    rows = [round(height * n / across) for n in range(across + 1)]
    return [
        image.crop((columns[x], rows[y], columns[x + 1], rows[y + 1])) for y in range(across) for x in range(across)
    ]


def tile_scores(scorer: "Scorer", image: Image.Image) -> list[float]:
    """The score of each of the parts, as of an image of its own; no scores for an image whose parts are too small to judge."""
    if min(image.size) < ACROSS * SMALLEST:
        return []
    return [found.score for found in scorer.assess(tiles(image))]
