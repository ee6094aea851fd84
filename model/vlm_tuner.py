"""Any VLM seen by fine-tuning. What moves is said in model/vlm_adapter.py; the loss in model/vlm_learner.py.

A VLM that was taught to rate quality goes on in its own words. One that never was, and is asked zero-shot, learns Q-Scorer's score tokens.
"""

import gc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from peft import PeftModel
from PIL import Image

from model.backbones.vlm import Prepared, VlmBackbone
from model.loading import load_vlm_of
from model.registry import Spec
from model.scorer import read
from model.tuning import LARGE_MODELS, make_ready
from model.vlm_adapter import (
    PLAIN_PEFT,
    READOUT,
    add_score_tokens,
    attach,
    projections,
    save_adapter,
    score_token_readout,
)
from model.vlm_learner import VlmLearner

SCORE_TOKENS = 5


def open_vlm(found: Spec, device: torch.device, dtype: torch.dtype) -> "VlmTuner":
    """The VLM of `found`. Raises ModelLoadError when it cannot be read, or has no layers to adapt."""
    backbone = load_vlm_of(found, device, dtype, trainable=True)
    if not found.adapter:
        projections(backbone.model)
    return VlmTuner(found, backbone)


class VlmTuner:
    """A Tuner (model/tuning.py) of the VLM at `found`."""

    options = LARGE_MODELS
    plain_peft = PLAIN_PEFT

    def __init__(self, found: Spec, backbone: VlmBackbone):
        self.found, self.backbone = found, backbone
        taught = found.adapter or found.readout or (found.base / READOUT).is_file()
        self.teaches_tokens = not taught
        self.readout, self.scale = "score_token" if self.teaches_tokens else backbone.readout, backbone.scale

    @property
    def model(self) -> torch.nn.Module:
        return self.backbone.model

    def prepare(self, image: Image.Image) -> Prepared:
        return self.backbone.prepare(image)

    def predict(self, batch: Sequence[Prepared]) -> torch.Tensor:
        self.model.eval()
        with torch.no_grad():
            return read(self.backbone, *self.backbone.last_position(batch)).score.float().cpu()

    def begin(self, rank: int) -> int:
        model = self.model
        if self.teaches_tokens:
            width = model.get_output_embeddings().weight.shape[1]
            tokens = score_token_readout(SCORE_TOKENS, self.scale, (width // 2, width // 4))
            settings = replace(
                self.backbone.settings, kind=tokens.kind, tokens=tokens.tokens, regressor_widths=tokens.regressor_widths
            )
            add_score_tokens(model, self.backbone.tokenizer, settings)
            self.backbone = VlmBackbone(model, self.backbone.processor, settings)
        if not isinstance(model, PeftModel):
            attach(self.backbone, rank)
        make_ready(self.model)
        self.learner = VlmLearner(self.backbone)
        return self.model.peft_config["default"].r

    def loss(self, batch: Sequence[Prepared], mos: torch.Tensor) -> torch.Tensor:
        return self.learner.loss(batch, mos)

    def save(self, folder: Path, origin: dict) -> None:
        save_adapter(self.model, self.backbone.settings, folder, origin["base"], origin["base_revision"])

    def reload(self, folder: Path) -> "VlmTuner":
        device, dtype = self.backbone.device, self.backbone.dtype
        del self.backbone, self.learner  # or two models would be in memory
        gc.collect()
        made = replace(self.found, adapter=folder)
        return VlmTuner(made, load_vlm_of(made, device, dtype))
