"""Examples: prepared images, in memory or on disk, in groups that fit into one forward pass."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.backbones.contract import Backbone, Prepared
from model.images.decoding import open_image

ROOM = 4096  # positions of the LLM in one forward pass


@dataclass(frozen=True)
class OnDisk:
    """An example that is prepared from its file each time it is needed, and not kept in memory."""

    image: Path
    shape_key: object
    length: int


def in_memory(numbers: Iterable[int], examples: Sequence[Prepared | OnDisk], backbone: Backbone) -> list[Prepared]:
    """The examples at these positions, all in memory."""
    chosen = [examples[number] for number in numbers]
    return [backbone.encode(open_image(e.image)) if isinstance(e, OnDisk) else e for e in chosen]


def together(numbers: Iterable[int], examples: Sequence[Prepared | OnDisk]) -> Iterator[list[int]]:
    """The positions in groups that fit into one forward pass: of equal shape_key, and of at most ROOM positions of the LLM in total."""
    groups = defaultdict(list)
    for number in numbers:
        groups[examples[number].shape_key].append(number)
    for members in groups.values():
        size = max(1, ROOM // max(examples[number].length for number in members))
        yield from (members[start : start + size] for start in range(0, len(members), size))
