"""An adapter's PEFT files: attached to a model or merged into it, every tensor accounted for, and written."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from model.backbones.adapter_card import CARD, CONFIG, WEIGHTS, AdapterCard, read_card
from model.backbones.spec import Spec
from model.common.errors import ModelLoadError, first_line

if TYPE_CHECKING:
    from peft import PeftConfig, PeftModel
    from torch import nn


def apply_adapter(model: "nn.Module", found: Spec) -> "nn.Module":
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
    from model.backbones.spec import revision

    base = Spec(found.name, found.base, None)
    if card.base_revision != revision(base):
        given = found.name.partition("+")[0]
        raise ModelLoadError(
            f"the adapter '{card.name}' was made for {card.base} of revision {card.base_revision}, and {given} is of revision "
            f"{revision(base)}: choose the base it was made for, or make it again by python -m model.finetune --model {given}."
        )


def load_onto(model: "nn.Module", folder: Path, trainable: bool = False) -> "PeftModel":
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


def wrap(model: "nn.Module", config: "PeftConfig") -> "PeftModel":
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
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's names a path of this machine


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
