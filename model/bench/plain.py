"""The upstream baseline: how the original programs come to a score, on the same weights, to measure the single forward against.

Q-Scorer's program takes two greedy steps, each a whole forward without a cache: image through the vision encoder, prompt
through the LLM, lm_head over the whole vocabulary at every position. The first step says the last token of the prompt (the
bare prefix, on mPLUG-Owl2), the second gives the hidden state that the regressor reads. Q-Align's program takes one such step.
Layers and attention are those of the single forward, faster than upstream's own: what is compared is the number of forwards, not the code.
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
    """How many steps the upstream program of this readout takes."""
    return 2 if backbone.readout.regressor is not None else 1


@torch.inference_mode()
def read_as_upstream(backbone: Backbone, batch: Sequence) -> Reading:
    """What the upstream baseline makes of prepared images of one shape_key and, for VLMs, prompts of one length.

    The second step follows the prompt's last token whatever the first step said: a trained model says it, random weights do not.
    """
    if forwards(backbone) == 2:
        _, logits = whole_forward(backbone, batch, 1)
        logits.argmax(-1).tolist()  # upstream looks at it before it goes on
    return backbone.readout.read(*whole_forward(backbone, batch, 0))


@singledispatch
def whole_forward(backbone: Backbone, batch: Sequence, without: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Hidden states [B, D] and logits [B, V] at the last position, after lm_head has run at all of them. The prompt's last
    `without` tokens are left out."""
    raise TypeError(f"no upstream baseline is known for {type(backbone).__name__}")


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
