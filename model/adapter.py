"""Adapters: what fine-tuning produces, a folder that plain PEFT loads, with a card that says what it came from and how well it did.

    adapter_config.json, adapter_model.safetensors    PEFT's own files
    card.json                                         AdapterCard, for programs
    README.md                                         the same for people

Listing and reading cards needs no torch; the rest does.
"""

import json
import re
import warnings
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from model.errors import DataError, ModelLoadError, first_line
from model.registry import Spec

if TYPE_CHECKING:
    from peft import PeftConfig, PeftModel

    from model.backbones.nano import NanoModel

CARD = "card.json"
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class AdapterCard:
    """What an adapter came from and how well it did.

    base, base_revision: the model it belongs on. parent: {"name", "revision"} of the adapter it continues, or None. scale: of the scores.
    data_sha256: over images and MOS. ratings, images, trained, held_out: counts. before, after: {"plcc", "srcc", "rmse"} on the held-out
    part, None where not defined; note says why, else "". rmse is in units of the scale. before_trained, after_trained: the same on the
    images trained on: how far it fits the ratings, not how well it predicts. date: ISO 8601, UTC. options: of the training.
    trained_on: SHA-256 of the images trained on. left_out: {"image", "error"} of rated images that could not be read.
    """

    name: str
    base: str
    base_revision: str
    parent: dict | None
    readout: str
    scale: tuple[float, float]
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

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"


@dataclass(frozen=True)
class BrokenAdapter:
    """A folder among the adapters that cannot be used, and why, in one sentence."""

    name: str
    error: str


def check_name(name: str) -> str:
    """The name as it is. Raises DataError for one that is not a plain folder name."""
    if not NAME.fullmatch(name):
        raise DataError(
            f"'{name}' cannot name an adapter: use up to 64 letters, digits, dots, dashes and underscores, a letter or digit first."
        )
    return name


def read_card(folder: Path) -> AdapterCard:
    """The card of the adapter in `folder`, under the name that the folder has now. Raises ModelLoadError naming the file that is missing or
    unreadable."""
    for name in (CONFIG, WEIGHTS, CARD):
        if not (folder / name).is_file():
            if any(folder.glob("non_lora_trainables.*")):
                raise ModelLoadError(
                    f"{folder} is an adapter for mPLUG-Owl2 (it has non_lora_trainables): give it on the mplug-owl2-llama2-7b weights."
                )
            raise ModelLoadError(f"{folder} lacks {name}: copy the adapter's whole folder again.")
    try:
        content = json.loads((folder / CARD).read_text(encoding="utf-8"))
        card = AdapterCard(**content | {"name": folder.name, "scale": tuple(content["scale"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        keys = ", ".join(field.name for field in fields(AdapterCard)[:4])
        raise ModelLoadError(
            f"{folder / CARD} is not an adapter's card (JSON with {keys}, ...): copy the adapter's whole folder again."
        ) from error
    return card


def list_adapters(folder: Path) -> list[AdapterCard | BrokenAdapter]:
    """The adapters in `folder`, by name; what is broken comes with its sentence. Empty where there is no such folder. Hidden folders are
    unfinished work and not listed. Raises ModelLoadError when the folder cannot be read."""
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


def apply_adapter(model: "NanoModel", found: Spec) -> "NanoModel":
    """`model` (changed in place) with the adapter `found.adapter` merged into its weights, so that scoring costs nothing extra.

    Raises ModelLoadError when the adapter was made for another base, lacks a tensor, or holds one that has no place.
    """
    check_base(read_card(found.adapter), found)
    return load_onto(model, found.adapter).merge_and_unload()


def check_belongs(found: Spec) -> None:
    """Raises ModelLoadError when the adapter of `found` has a card, and it names another base. Adapters of others have none."""
    if found.adapter and (found.adapter / CARD).is_file():
        check_base(read_card(found.adapter), found)


def check_base(card: AdapterCard, found: Spec) -> None:
    """Raises ModelLoadError unless the card's adapter was made for exactly the base that `found` names."""
    from model.scorer import revision

    base = Spec(found.name, found.base, None)
    if card.base_revision != revision(base):
        given = found.name.partition("+")[0]
        raise ModelLoadError(
            f"the adapter '{card.name}' was made for {card.base} of revision {card.base_revision}, and {given} is of revision "
            f"{revision(base)}: choose the base it was made for, or make it again by python -m model.finetune --model {given}."
        )


def load_onto(model: "NanoModel", folder: Path, trainable: bool = False) -> "PeftModel":
    """`model` with the adapter in `folder` attached by PEFT; every tensor is accounted for, and nothing but safetensors is read.

    Raises ModelLoadError naming the tensor that is missing, left over or of another shape.
    """
    from peft import LoraConfig, PeftConfig, get_peft_model_state_dict, set_peft_model_state_dict
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        config = PeftConfig.from_pretrained(str(folder))
        tensors = load_file(folder / WEIGHTS)
        if not isinstance(config, LoraConfig):
            raise ModelLoadError(
                f"{folder / CONFIG} describes an adapter of type {config.peft_type}; this version loads LoRA only."
            )
        config.inference_mode, config.base_model_name_or_path = not trainable, None
        adapted = wrap(model, config)
    except (OSError, ValueError, TypeError, KeyError, IndexError, SafetensorError) as error:
        raise ModelLoadError(
            f"{folder} cannot be read as an adapter: {first_line(error)}. Copy the adapter's whole folder again."
        ) from error
    expected = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    check_tensors(folder, {key: t.shape for key, t in expected.items()}, {key: t.shape for key, t in tensors.items()})
    set_peft_model_state_dict(adapted, tensors)
    return adapted


def wrap(model: "NanoModel", config: "PeftConfig") -> "PeftModel":
    """`model` (changed in place) with the adapter that `config` describes, untrained."""
    from peft import get_peft_model

    with warnings.catch_warnings():
        # PEFT 0.21 asks transformers 5.23 by a name that is on its way out; nothing that a user could change.
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`", category=FutureWarning)
        return get_peft_model(model, config)


def save_peft(adapted: "PeftModel", folder: Path, base: str, base_revision: str) -> None:
    """PEFT's own files. `base` and its revision say which model the adapter belongs on, in place of the path that PEFT would write."""
    config = adapted.peft_config["default"]
    config.base_model_name_or_path, config.revision = base, base_revision
    adapted.save_pretrained(folder, save_embedding_layers=False)


def check_tensors(folder: Path, expected: dict[str, tuple], found: dict[str, tuple]) -> None:
    """Raises ModelLoadError naming a tensor that is missing, left over or of another shape than expected."""
    faults = {
        "lacks the tensor": expected.keys() - found.keys(),
        "holds a tensor that the model has no place for:": found.keys() - expected.keys(),
        "holds a tensor of the wrong shape:": {
            key for key in expected.keys() & found.keys() if expected[key] != found[key]
        },
    }
    for fault, keys in faults.items():
        if keys:
            raise ModelLoadError(
                f"{folder / WEIGHTS} {fault} {min(keys)}: weights and {CONFIG} do not belong together."
            )
