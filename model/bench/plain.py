"""The upstream baseline: how the original programs compute a score, on the same weights, as a comparison for the single forward pass.

Q-Scorer's program takes two greedy steps, each a full forward pass without a cache: the image through the vision encoder, the prompt
through the LLM, lm_head at every position. The first step outputs the last token of the prompt (the bare prefix, on mPLUG-Owl2), the
second computes the hidden state for the regressor. Q-Align's program takes one such step. Layers and attention are ours, which are faster
than upstream's: the comparison is between numbers of forward passes, not between implementations.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import singledispatch

import torch
from torch import nn

from model.backbones.contract import Backbone
from model.backbones.mplug_owl2.backbone import MplugOwl2Backbone
from model.backbones.nano.backbone import NanoBackbone
from model.backbones.vlm.backbone import VlmBackbone
from model.readouts.reading import Reading


def forwards(backbone: Backbone) -> int:
    """The number of steps in the upstream program for this readout."""
    return 2 if backbone.readout.regressor is not None else 1


@torch.inference_mode()
def read_as_upstream(backbone: Backbone, batch: Sequence) -> Reading:
    """The upstream baseline's reading of prepared images of equal shape_key and, for VLMs, equal prompt length.

    The second step continues from the prompt's last token whatever the first step's output: random weights do not output it.
    """
    if forwards(backbone) == 2:
        _, logits = whole_forward(backbone, batch, 1)
        logits.argmax(-1).tolist()  # upstream waits for this result
    return backbone.readout.read(*whole_forward(backbone, batch, 0))


@singledispatch
def whole_forward(backbone: Backbone, batch: Sequence, without: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Hidden states [B, D] and logits [B, V] at the last position, with lm_head computed at all positions. The prompt's last `without`
    tokens are omitted."""
    raise TypeError(f"there is no upstream baseline for {type(backbone).__name__}")


@whole_forward.register
def _(backbone: NanoBackbone, batch: Sequence, without: int) -> tuple[torch.Tensor, torch.Tensor]:
    ids = backbone.processor.prompt_ids().to(backbone.device)
    return last_of_all(backbone, [image.pixels for image in batch], ids, without)


@whole_forward.register
def _(backbone: MplugOwl2Backbone, batch: Sequence, without: int) -> tuple[torch.Tensor, torch.Tensor]:
    return last_of_all(backbone, [image.pixels for image in batch], backbone.prompt_ids, without)


def last_of_all(backbone, pixels: list[torch.Tensor], ids: torch.Tensor, without: int):
    shown = torch.stack(pixels).to(backbone.device, backbone.dtype)
    output = backbone.model(shown, ids[: len(ids) - without].expand(len(pixels), -1))
    return output.hidden[:, -1], output.logits[:, -1]


@whole_forward.register
def _(backbone: VlmBackbone, batch: Sequence, without: int) -> tuple[torch.Tensor, torch.Tensor]:
    if without:
        batch = [replace(p, text={name: row[:, :-without] for name, row in p.text.items()}) for p in batch]
    seen = []

    def keep(head: nn.Module, arguments: tuple) -> None:
        seen.append(arguments[0][:, -1])

    hook = backbone.model.get_output_embeddings().register_forward_pre_hook(keep)
    try:
        logits = backbone.model(**backbone.collate(batch), use_cache=False).logits
    finally:
        hook.remove()
    return seen[0], logits[:, -1]
