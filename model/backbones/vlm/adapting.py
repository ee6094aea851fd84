"""Score tokens and adapters on any VLM: Q-Scorer's additions to a model, trained as a LoRA adapter that plain PEFT can load.

    adapter_config.json, adapter_model.safetensors    PEFT's files
    readout.json                                      prompt and readout (settings.py)

A VLM that was trained to rate keeps its level words; any other learns Q-Scorer's score tokens. Trainable: low-rank updates of the language
model's attention, the rows of the score tokens (or level words) in the embeddings and lm_head, and Q-Scorer's regressor. Before loading an
adapter with plain PEFT, call add_score_tokens on the base.
"""

from pathlib import Path

import torch
from peft import LoraConfig, PeftModel
from tokenizers import AddedToken
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from model.backbones.adapter_card import CONFIG
from model.backbones.adapting import make_trainable
from model.backbones.peft_files import load_onto, rank_of, wrap
from model.backbones.vlm.backbone import VlmBackbone
from model.backbones.vlm.settings import VlmReadout, read_readout, score_token_settings
from model.common.errors import ModelLoadError
from model.readouts.levels import score_tokens
from model.readouts.regressor import build_regressor

SCORE_TOKENS = score_tokens(5)
PART_NAMES = {"vision": ("vision", "visual"), "connector": ("projector", "connector", "aligner")}
# The projections to queries and values; in_proj_qkv is that of linear attention (Qwen3.5).
PROJECTIONS = ("q_proj", "v_proj", "qkv_proj", "in_proj_qkv")


@torch.no_grad()
def add_score_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, readout: VlmReadout) -> None:
    """Add the score tokens of `readout` to `model` and `tokenizer` (changed in place), and its untrained regressor to `model`.

    New rows of the embeddings, and of lm_head if it is not tied, are the mean of the tokenizer's rows. Spare rows beyond the tokenizer's
    vocabulary are used before the model grows. Does nothing for a level readout.
    """
    if readout.kind != "score_token":
        return
    known = len(tokenizer)
    tokenizer.add_tokens([AddedToken(token, special=True, normalized=False) for token in readout.tokens])
    if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        layer.weight[known : len(tokenizer)] = layer.weight[:known].float().mean(0).to(layer.weight.dtype)
    head = model.get_output_embeddings().weight
    built = build_regressor(head.shape[1], readout.regressor_widths, readout.hyper_units, readout.scale.middle)
    model.regressor = built.to(head.device)


def attach(backbone: VlmBackbone, rank: int) -> int:
    """See `Backbone.adapt`. Raises ModelLoadError when the language model has none of PROJECTIONS."""
    model = backbone.model
    if not backbone.taught:
        learn_tokens(backbone, SCORE_TOKENS)
    if not isinstance(model, PeftModel):
        layers = [model.get_input_embeddings(), model.get_output_embeddings()]  # PEFT keeps tied ones tied
        whole = [name for part in backbone.also_trained for name in whole_modules(model)[part]]
        if "head" in backbone.also_trained:
            layers = layers[:1]
        if backbone.readout.regressor is not None:
            whole.append("regressor")
        config = LoraConfig(
            r=rank,
            lora_alpha=2 * rank,
            target_modules=projections(model),
            trainable_token_indices={name_of(model, layer): backbone.readout.token_ids.tolist() for layer in layers},
            modules_to_save=whole or None,
        )
        backbone.model = wrap(model, config)
    backbone.read_by(backbone.settings)  # PEFT has replaced the regressor by a trainable copy
    make_trainable(backbone.model)
    return rank_of(backbone.model)


def learn_tokens(backbone: VlmBackbone, tokens: tuple[str, ...], hyper_units: int = 0) -> None:
    """Give a model that reads level words Q-Scorer's readout: score tokens and an untrained regressor."""
    width = backbone.model.get_output_embeddings().weight.shape[1]
    settings = score_token_settings(backbone.settings, tokens, width, hyper_units)
    add_score_tokens(backbone.model, backbone.tokenizer, settings)
    backbone.taught = True
    backbone.read_by(settings)


def whole_modules(model: "PreTrainedModel | PeftModel") -> dict[str, list[str]]:
    """By part (PARTS), the names of the modules that are trained in full: of the model's body the parts beside the language model, and its
    lm_head, unless it is tied to the embeddings. What is named for both, such as Qwen's merger within `visual`, counts as vision."""
    decoder = model.get_decoder()
    body = next((m for m in model.modules() if any(child is decoder for child in m.children())), model)
    found: dict[str, list[str]] = {}
    for part, words in PART_NAMES.items():
        names = [name_of(model, child) for name, child in body.named_children() if any(word in name for word in words)]
        if names:
            found[part] = names
    if model.get_output_embeddings().weight is not model.get_input_embeddings().weight:
        found["head"] = [name_of(model, model.get_output_embeddings())]
    return found


def projections(model: PreTrainedModel) -> str:
    """A pattern for the names of the language model's layers that get LoRA updates. Raises ModelLoadError when there are none."""
    decoder = name_of(model, model.get_decoder())
    names = [name for name, _ in model.named_modules() if name.startswith(f"{decoder}.")]
    found = sorted({name.rpartition(".")[2] for name in names} & set(PROJECTIONS))
    if not found:
        raise ModelLoadError(
            f"a model of type '{model.config.model_type}' cannot be fine-tuned here: its language model has none of the "
            f"layers {', '.join(PROJECTIONS)}. Choose another model."
        )
    return rf"{decoder.replace('.', '[.]')}[.].*[.]({'|'.join(found)})"


def name_of(model: nn.Module, part: nn.Module) -> str:
    return next(name for name, module in model.named_modules() if module is part)


def load_adapter(model: PreTrainedModel, processor, folder: Path, trainable: bool = False) -> VlmBackbone:
    """A backbone of the base `model` and its `processor` (both changed in place) with the adapter in `folder`: merged into the weights or,
    if trainable, attached so that training can resume.

    Raises ModelLoadError, naming a file or tensor that is missing or invalid.
    """
    readout = read_readout(folder)
    add_score_tokens(model, processor.tokenizer, readout)
    adapted = load_onto(model, folder, trainable)
    backbone = VlmBackbone(adapted, processor, readout)
    rows = adapted.peft_config["default"].trainable_token_indices or {}
    if any(indices != backbone.readout.token_ids.tolist() for indices in rows.values()):
        raise ModelLoadError(
            f"{folder / CONFIG} trains other rows than those of {', '.join(readout.tokens)} in this model: "
            "use the adapter's own base, which has another tokenizer."
        )
    return backbone if trainable else VlmBackbone(adapted.merge_and_unload(), processor, readout)
