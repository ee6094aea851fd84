"""A nano seen by a scorer: a picture in, the hidden state and logits that a readout needs out."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import nn

from model.backbones.nano import NanoModel, NanoProcessor


@dataclass(frozen=True)
class Prepared:
    """One picture, ready for the model: pixels [3, H, W]."""

    pixels: torch.Tensor

    @property
    def shape_key(self) -> torch.Size:
        """Pictures of one shape go through the model together."""
        return self.pixels.shape

    @property
    def nbytes(self) -> int:
        return self.pixels.nbytes


class NanoBackbone:
    """A model and its processor; readout, tokens (worst to best) and scale are those that its config.json gives."""

    def __init__(self, model: NanoModel, processor: NanoProcessor):
        self.model, self.processor = model.eval(), processor
        readout = model.config.readout
        self.readout: str = readout["kind"]
        self.tokens: tuple[str, ...] = tuple(readout["tokens"])
        self.scale: tuple[float, float] = tuple(readout["scale"])
        ids = processor.tokenizer.convert_tokens_to_ids(list(self.tokens))
        self.token_ids = torch.tensor(ids, device=self.device)
        self._prompt = processor.prompt_ids().to(self.device)

    @property
    def regressor(self) -> nn.Module | None:
        return self.model.regressor if self.readout == "score_token" else None

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        return self.model.dtype

    def prepare(self, image: Image.Image) -> Prepared:
        """One RGB picture."""
        return Prepared(self.processor.pixels(image))

    @torch.inference_mode()
    def last_position(self, batch: Sequence[Prepared]) -> tuple[torch.Tensor, torch.Tensor]:
        """Hidden states [B, D] and logits [B, V] at the position that predicts the score token or level word. The batch has
        one shape_key."""
        pixels = torch.stack([prepared.pixels for prepared in batch])
        output = self.model(pixels.to(self.device, self.dtype), self._prompt.expand(len(batch), -1))
        return output.hidden[:, -1], output.logits[:, -1]
