"""A nano seen by a scorer: a picture in, the hidden state and logits that a readout needs out."""

from collections.abc import Sequence

import torch
from PIL import Image
from torch import nn

from model.backbones.nano import NanoModel, NanoProcessor
from model.backbones.nano_views import Views, together


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

    def prepare(self, image: Image.Image) -> Views:
        """One RGB picture."""
        return self.processor.views(image)

    @torch.inference_mode()
    def last_position(self, batch: Sequence[Views]) -> tuple[torch.Tensor, torch.Tensor]:
        """Hidden states [B, D] and logits [B, V] at the position that predicts the score token or level word. The batch has
        one shape_key."""
        seen = together(batch).to(self.device, self.dtype)
        output = self.model.decode(self.model.encode(seen), self._prompt.expand(len(batch), -1))
        return output.hidden[:, -1], output.logits[:, -1]
