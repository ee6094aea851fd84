"""Adapters, the output of fine-tuning: a folder that plain PEFT loads, with a card that states origin and measured figures.

    adapter_config.json, adapter_model.safetensors    PEFT's files; none if scores are only corrected
    correction.safetensors                            the correction of scores, if any (model/readouts/correction.py)
    card.json                                         AdapterCard, for programs
    README.md                                         the same for people

Imports no torch.
"""

import json
import re
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from model.common.errors import DataError, ModelLoadError
from model.common.json_files import read_json
from model.common.scale import Scale

CARD = "card.json"
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
CORRECTION = "correction.safetensors"
RUNGS = ("recalibrate", "head", "lora")  # of what is learned from ratings, by how many of them it takes
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class AdapterCard:
    """An adapter's origin and measured figures.

    base, base_revision: the model that it was trained on. parent: {"name", "revision"} of the adapter that training resumed from, or None.
    scale: of the scores. data_sha256: over images and MOS. ratings, images, trained, held_out: counts. before, after: {"plcc", "srcc",
    "rmse"} on the held-out images; if one is undefined it is None, and note says why (else ""). rmse is in units of the scale.
    before_trained, after_trained: the same on the training images, which measure fit, not prediction. date: ISO 8601, UTC. options: of the
    training. trained_on: SHA-256 of the training images. left_out: {"image", "error"} of rated images that could not be read. rung: the
    method, one of RUNGS. cross_validated: the figures come from cross-validation, and the adapter was then trained on all images.
    better: whether the gate found an improvement; verdict: the gate's sentence (model/finetuning/gate.py). by_rater: {"raters", "images",
    "before", "after"}, the figures on left-out images against the MOS of raters whose ratings were left out as well; None with fewer than
    three raters. by_set: {name: {"images", "before", "after"}} if the left-out images come from several data sets.
    recipe: of the training, "" for the model's own readout and losses. trained_parts: what was trained in full beside the LoRA. anchors:
    {"images", "before", "after"}, the SRCC on anchor images; None without.
    """

    name: str
    base: str
    base_revision: str
    parent: dict | None
    readout: str
    scale: Scale
    data_sha256: str
    include_revealed: bool
    ratings: int
    images: int
    trained: int
    held_out: int
    before: dict[str, float | None]
    after: dict[str, float | None]
    before_trained: dict[str, float | None]
    after_trained: dict[str, float | None]
    note: str
    date: str
    seed: int
    options: dict
    trained_on: list[str]
    left_out: list[dict]
    rung: str = "lora"
    cross_validated: bool = False
    better: bool | None = None
    verdict: str = ""
    by_rater: dict | None = None
    by_set: dict[str, dict] = field(default_factory=dict)
    recipe: str = ""
    trained_parts: list[str] = field(default_factory=list)
    anchors: dict | None = None

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"


@dataclass(frozen=True)
class BrokenAdapter:
    """An adapter folder that cannot be used, and the reason in one sentence."""

    name: str
    error: str


def check_name(name: str) -> str:
    """The name, unchanged. Raises DataError for an invalid one."""
    if not NAME.fullmatch(name):
        raise DataError(
            f"'{name}' is not a valid adapter name: use up to 64 letters, digits, dots, dashes and underscores, a letter or digit first."
        )
    return name


def read_card(folder: Path) -> AdapterCard:
    """The card of the adapter in `folder`, with the folder's current name. Raises ModelLoadError, naming the file that is missing or
    invalid."""
    for name in (CARD,) if corrects(folder) else (CONFIG, WEIGHTS, CARD):
        if not (folder / name).is_file():
            if any(folder.glob("non_lora_trainables.*")):
                raise ModelLoadError(
                    f"{folder} is an adapter for mPLUG-Owl2 (it has non_lora_trainables): use it with the mplug-owl2-llama2-7b weights."
                )
            raise ModelLoadError(f"{folder} lacks {name}: copy the adapter's whole folder again.")
    content = read_json(folder / CARD)
    try:
        return AdapterCard(**content | {"name": folder.name, "scale": Scale(*content["scale"])})
    except (TypeError, KeyError) as error:
        keys = ", ".join(field.name for field in fields(AdapterCard)[:4])
        raise ModelLoadError(
            f"{folder / CARD} is not an adapter's card (JSON with {keys}, ...): copy the adapter's whole folder again."
        ) from error


def corrects(folder: Path) -> bool:
    """Whether the adapter in `folder` corrects scores."""
    return (folder / CORRECTION).is_file()


def list_adapters(folder: Path) -> list[AdapterCard | BrokenAdapter]:
    """The adapters in `folder`, by name, including broken ones; empty if the folder does not exist. Hidden folders, which are unfinished,
    are skipped. Raises ModelLoadError when the folder cannot be read."""
    try:
        places = sorted(place for place in folder.iterdir() if place.is_dir() and not place.name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ModelLoadError(f"{folder} cannot be read as a folder of adapters: {error.strerror}.") from error
    return [card_or_fault(place) for place in places]


def card_or_fault(folder: Path) -> AdapterCard | BrokenAdapter:
    try:
        return read_card(folder)
    except ModelLoadError as error:
        return BrokenAdapter(folder.name, str(error))
