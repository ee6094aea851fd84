"""Loads and writes an adapter's PEFT files, and checks every tensor."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.backbones.adapter_card import CARD, CONFIG, WEIGHTS, AdapterCard, read_card
from model.backbones.spec import Spec, revision
from model.common.errors import ModelError, ModelLoadError, first_line

if TYPE_CHECKING:
    from peft import PeftConfig, PeftModel
    from torch import nn


def check_belongs(found: Spec) -> None:
    """Raises ModelLoadError when the adapter of `found` has a card that names another base. Published adapters have no card."""
    if found.adapter and (found.adapter / CARD).is_file():
        check_base(read_card(found.adapter), found)


def check_base(card: AdapterCard, found: Spec) -> None:
    """Raises ModelLoadError unless the card's adapter was trained on exactly the base of `found`."""
    base = Spec(found.name, found.base, None)
    if card.base_revision != revision(base):
        given = found.name.partition("+")[0]
        raise ModelLoadError(
            f"the adapter '{card.name}' was trained on {card.base}, revision {card.base_revision}, but {given} has revision "
            f"{revision(base)}: use the adapter's base, or train it again by python -m model.finetune --model {given}."
        )


def load_onto(model: "nn.Module", folder: Path, trainable: bool = False) -> "PeftModel":
    """`model` with the adapter in `folder` attached by PEFT; reads safetensors only.

    Raises ModelLoadError, naming a tensor that is missing, unexpected or of the wrong shape.
    """
    from peft import LoraConfig, PeftConfig, get_peft_model_state_dict, set_peft_model_state_dict
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from model.backbones.weight_files import check_tensors

    try:
        config = PeftConfig.from_pretrained(str(folder))
        tensors = load_file(folder / WEIGHTS)
        if not isinstance(config, LoraConfig):
            raise ModelLoadError(
                f"{folder / CONFIG} describes an adapter of type {config.peft_type}: only LoRA is supported."
            )
        config.inference_mode, config.base_model_name_or_path = not trainable, None
        adapted = wrap(model, config)
    except (OSError, ValueError, TypeError, KeyError, IndexError, SafetensorError) as error:
        raise ModelLoadError(
            f"{folder} cannot be read as an adapter: {first_line(error)}. Copy the adapter's whole folder again."
        ) from error
    expected = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    check_tensors(
        folder / WEIGHTS,
        missing=expected.keys() - tensors.keys(),
        unexpected=tensors.keys() - expected.keys(),
        misshapen=[key for key in expected.keys() & tensors.keys() if expected[key].shape != tensors[key].shape],
    )
    set_peft_model_state_dict(adapted, tensors)
    return adapted


def wrap(model: "nn.Module", config: "PeftConfig") -> "PeftModel":
    """`model` (changed in place) with a new adapter, as described by `config`."""
    from peft import get_peft_model

    with warnings.catch_warnings():
        # PEFT 0.21 uses a name that transformers 5.23 deprecates; the user cannot change that.
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`", category=FutureWarning)
        return get_peft_model(model, config)


def rank_of(adapted: "PeftModel") -> int:
    """The rank of an attached LoRA adapter."""
    config: Any = adapted.peft_config["default"]  # a LoraConfig, which `load_onto` checks
    return config.r


def save_peft(adapted: "nn.Module | None", folder: Path, base: str, base_revision: str) -> None:
    """Write PEFT's files, with the name and revision of the base instead of its path. Raises ModelError without an adapter."""
    from peft import PeftModel

    if not isinstance(adapted, PeftModel):
        raise ModelError("this model has no adapter: call adapt before save_adapter.")
    config = adapted.peft_config["default"]
    config.base_model_name_or_path, config.revision = base, base_revision
    adapted.save_pretrained(str(folder), save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's contains a path
