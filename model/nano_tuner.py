"""nano seen by fine-tuning. What moves: low-rank updates of the decoder's attention (q_proj and v_proj, which Q-Scorer, Q-Align and
DeQA-Score adapt), the rows of the score tokens or level words in embed_tokens and lm_head, and Q-Scorer's regressor. The image encoder and
the connector stay as they are, so each picture goes through them once and only the decoder runs in the training loop."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel
from PIL import Image

from model.adapter import check_base, load_onto, read_card, save_peft, wrap
from model.backbones.nano import NanoModel, NanoProcessor
from model.nano_learner import Learner
from model.nano_loading import load_nano
from model.registry import Spec
from model.tuning import Encoded, Options

TARGET_MODULES = ["q_proj", "v_proj"]


def attach(model: NanoModel, processor: NanoProcessor, rank: int) -> PeftModel:
    """A new adapter on `model` (changed in place) that scores as the base does until it is trained."""
    rows = processor.tokenizer.convert_tokens_to_ids(list(model.config.readout["tokens"]))
    config = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        target_modules=TARGET_MODULES,
        trainable_token_indices={"embed_tokens": rows, "lm_head": rows},
        modules_to_save=["regressor"] if model.config.readout["kind"] == "score_token" else None,
    )
    return wrap(model, config)


def open_nano(found: Spec, device: torch.device) -> "NanoTuner":
    """The nano of `found`, in float32. Raises ModelLoadError as load_nano and load_onto do."""
    if found.adapter:
        check_base(read_card(found.adapter), found)
    base = replace(found, adapter=None)
    model, processor = load_nano(base)
    model.to(device)
    adapted = load_onto(model, found.adapter, trainable=True) if found.adapter else None
    return NanoTuner(base, model, processor, adapted)


class NanoTuner:
    """A Tuner (model/tuning.py) of the nano at `base`; adapted: `model` with the adapter that goes on."""

    options = Options()
    plain_peft = """\
    PeftModel.from_pretrained(NanoModel.from_pretrained(BASE, dtype="float32"), FOLDER)"""

    def __init__(self, base: Spec, model: NanoModel, processor: NanoProcessor, adapted: PeftModel | None = None):
        self.base, self.model, self.processor, self.adapted = base, model, processor, adapted
        self.learner = Learner(model, processor)
        self.readout, self.scale = self.learner.readout, self.learner.scale

    @torch.no_grad()
    def prepare(self, image: Image.Image) -> Encoded:
        pixels = self.processor.pixels(image).to(self.model.device)
        return Encoded(self.model.encode(pixels.unsqueeze(0))[0].cpu())

    def _stacked(self, batch: Sequence[Encoded]) -> torch.Tensor:
        return torch.stack([example.rows for example in batch]).to(self.model.device)

    def predict(self, batch: Sequence[Encoded]) -> torch.Tensor:
        return self.learner.predict(self._stacked(batch)).cpu()

    def begin(self, rank: int) -> int:
        self.adapted = self.adapted or attach(self.model, self.processor, rank)
        return self.adapted.peft_config["default"].r

    def loss(self, batch: Sequence[Encoded], mos: torch.Tensor) -> torch.Tensor:
        return self.learner.loss(self._stacked(batch), mos.to(self.model.device))

    def save(self, folder: Path, origin: dict) -> None:
        save_peft(self.adapted, folder, origin["base"], origin["base_revision"])

    def reload(self, folder: Path) -> "NanoTuner":
        model = load_nano(self.base)[0].to(self.model.device)
        return NanoTuner(self.base, load_onto(model, folder).merge_and_unload(), self.processor)
