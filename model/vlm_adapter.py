"""Score tokens and adapters on any VLM: what Q-Scorer adds to a model, trained as a LoRA adapter that plain PEFT loads.

    adapter_config.json, adapter_model.safetensors    PEFT's own files
    readout.json                                      how the model is asked and read (VlmReadout)

What moves: low-rank updates of the language model's attention, the rows of the score tokens (or level words) in the
embeddings and lm_head, and Q-Scorer's regressor. For plain PEFT the base has to have a place for them: add_score_tokens.
"""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel
from tokenizers import AddedToken
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from model.adapter import CONFIG, load_onto, save_peft, wrap
from model.backbones.vlm import VlmBackbone, VlmReadout
from model.errors import ModelLoadError
from model.regressor import Regressor

READOUT = "readout.json"
README = """\
---
base_model: {base}
library_name: peft
tags:
- base_model:adapter:{base}
- lora
- image-quality-assessment
---

An adapter for `{base}` (revision {revision}) that scores the quality of images: readout `{readout.kind}`, scores
from {readout.scale[0]:g} to {readout.scale[1]:g}, higher is better. `readout.json` says how the model is asked and read.
Plain PEFT loads it, with the base's folder in place of BASE and this one in place of FOLDER:

{plain_peft}
"""
PLAIN_PEFT = """\
    model = AutoModelForImageTextToText.from_pretrained(BASE)
    add_score_tokens(model, AutoTokenizer.from_pretrained(BASE), read_readout(FOLDER))  # from model.vlm_adapter
    PeftModel.from_pretrained(model, FOLDER)"""
# The projections to queries and values; in_proj_qkv is what linear attention (Qwen3.5) has in their place.
PROJECTIONS = ("q_proj", "v_proj", "qkv_proj", "in_proj_qkv")


def score_token_readout(count: int, scale: tuple[float, float], regressor_widths: tuple[int, ...]) -> VlmReadout:
    """Q-Scorer's readout on a VLM: <score1> to <scoreCOUNT>, worst to best."""
    tokens = tuple(f"<score{n}>" for n in range(1, count + 1))
    return VlmReadout("score_token", tokens, scale, thinking=False, regressor_widths=regressor_widths)


@torch.no_grad()
def add_score_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, readout: VlmReadout) -> None:
    """Give `model` and `tokenizer` (changed in place) the score tokens of `readout`, and `model` its regressor, untrained.

    A new row of the embeddings, and of lm_head where it has rows of its own, is the mean of the tokenizer's rows. Where the
    model has spare rows beyond its tokenizer's vocabulary these are taken, else it grows by as many as it lacks. A level readout
    needs nothing of this, and nothing is done.
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
    model.regressor = Regressor(head.shape[1], readout.regressor_widths).to(head.device, head.dtype)
    nn.init.constant_(model.regressor.output.bias, sum(readout.scale) / 2)


def attach(backbone: VlmBackbone, rank: int) -> PeftModel:
    """A new adapter on the backbone's model, which from now on computes through it and scores as before until it is trained.

    Raises ModelLoadError when the language model has none of the projections that are adapted.
    """
    model = backbone.model
    layers = (model.get_input_embeddings(), model.get_output_embeddings())  # PEFT keeps tied ones tied
    config = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        target_modules=projections(model),
        trainable_token_indices={name_of(model, layer): backbone.token_ids.tolist() for layer in layers},
        modules_to_save=["regressor"] if backbone.readout == "score_token" else None,
    )
    backbone.model = wrap(model, config)
    return backbone.model


def projections(model: PreTrainedModel) -> str:
    """A pattern for the names of the language model's layers that are adapted. Raises ModelLoadError when it has none."""
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


def save_adapter(adapted: PeftModel, readout: VlmReadout, folder: Path, base: str, base_revision: str) -> None:
    """Write the adapter, its readout and a README to `folder`; `base` and `base_revision` say which model it belongs on."""
    save_peft(adapted, folder, base, base_revision)
    (folder / READOUT).write_text(json.dumps(asdict(readout), indent=1) + "\n", encoding="utf-8")
    # PEFT's own README names a path.
    text = README.format(base=base, revision=base_revision, readout=readout, plain_peft=PLAIN_PEFT)
    (folder / "README.md").write_text(text, encoding="utf-8")


def read_readout(folder: Path) -> VlmReadout:
    """The readout in the folder of an adapter or model. Raises ModelLoadError naming the file that is missing or unreadable."""
    path = folder / READOUT
    if not path.is_file():
        raise ModelLoadError(f"{folder} lacks {READOUT}: copy the adapter's whole folder again.")
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        lists = {name: tuple(settings[name]) for name in ("tokens", "scale", "regressor_widths")}
        return VlmReadout(**settings | lists)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelLoadError(
            f"{path} is not a readout (JSON with kind, tokens, scale, ...): copy the adapter's whole folder again."
        ) from error


def load_adapter(model: PreTrainedModel, processor, folder: Path, trainable: bool = False) -> VlmBackbone:
    """A backbone of the base `model` and its `processor` (both changed in place) with the adapter in `folder`: merged into the
    weights, or, when trainable, attached so that training goes on.

    Raises ModelLoadError naming the file or tensor that is missing, unreadable or does not fit.
    """
    readout = read_readout(folder)
    add_score_tokens(model, processor.tokenizer, readout)
    backbone = VlmBackbone(model, processor, readout)
    adapted = load_onto(model, folder, trainable)
    rows = adapted.peft_config["default"].trainable_token_indices or {}
    if any(indices != backbone.token_ids.tolist() for indices in rows.values()):
        raise ModelLoadError(
            f"{folder / CONFIG} trains other rows than this model's {', '.join(readout.tokens)}: "
            "the adapter was made for a base with another tokenizer."
        )
    backbone.model = adapted if trainable else adapted.merge_and_unload()
    return backbone
