"""nano, nano-qalign and the plain regressor in training: three systems on one image encoder."""

import copy
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from model.backbones.nano import engine
from model.backbones.nano.backbone import NanoBackbone
from model.backbones.nano.connector import NanoConnector, summarise
from model.backbones.nano.encoder import LiteEncoder, load_imagenet_weights
from model.backbones.nano.loading import load_nano
from model.backbones.nano.network import (
    LEVEL_WORDS,
    SCORE_TOKENS,
    SIDE,
    NanoConfig,
    NanoModel,
    NanoProcessor,
    build_tokenizer,
)
from model.common.errors import DataError
from model.common.new_folder import share
from model.readouts.losses import answer_cross_entropy, regression_loss
from model.training.baselines import PlainRegressor
from model.training.data import SCALE
from model.training.images import BATCH_SIZE, DAMAGED, Step

# With the stem: they detect edges, noise and texture down to an eighth of the resolution, and keep their ImageNet weights.
FROZEN_BLOCKS = 5
FROZEN_OF_TRAINED = 11  # if the encoder starts from trained weights: up to the third map
DROP = 0.6  # share of its distance to the worst score that an image loses at damage severity 1


def nano_with(tokens: tuple[str, ...], regress: bool, encoder: LiteEncoder) -> NanoBackbone:
    """A new nano with one of its readouts on `encoder`."""
    processor = NanoProcessor(build_tokenizer(), side=SIDE)
    config = NanoConfig(
        vocab_size=len(processor.tokenizer),
        regressor_widths=(128, 64) if regress else (),
        readout={
            "kind": "score_token" if regress else "level",
            "tokens": list(tokens),
            "scale": list(SCALE),
        },
    )
    model = NanoModel(config)
    model.encoder = encoder
    model.connector = NanoConnector(
        config.hidden_size
    )  # with PyTorch's initialisation: that of transformers is too small
    if regress:
        nn.init.constant_(model.regressor.output.bias, sum(SCALE) / 2)
    return NanoBackbone(model, processor)


class Trio(nn.Module):
    """The three systems and their encoder. They start from ImageNet's encoder, or (all but the plain regressor) from `start`: a folder with
    the folders nano and nano-qalign. Raises ModelLoadError if these cannot be read, DataError if their encoders differ."""

    def __init__(self, start: Path | None = None):
        super().__init__()
        self.encoder = LiteEncoder()
        load_imagenet_weights(self.encoder)
        self.backbones = {
            "nano": nano_with(SCORE_TOKENS, True, self.encoder),
            "nano-qalign": nano_with(LEVEL_WORDS, False, self.encoder),
        }
        self.processor = self.backbones["nano"].processor
        self.nanos = nn.ModuleDict({name: nano.model for name, nano in self.backbones.items()})
        self.plain = PlainRegressor()
        nn.init.constant_(self.plain.output.bias, sum(SCALE) / 2)
        self.frozen_blocks = FROZEN_OF_TRAINED if start else FROZEN_BLOCKS
        if start:
            self._take_over(start)
        self.encoder.requires_grad_(False)
        self.to(memory_format=torch.channels_last)
        self.fast: engine.Compiled | None = None

    def _take_over(self, start: Path) -> None:
        found = {name: load_nano(start / name)[0] for name in self.nanos}
        first, second = (model.encoder.state_dict() for model in found.values())
        if any(not torch.equal(weight, second[name]) for name, weight in first.items()):
            raise DataError(
                f"nano and nano-qalign in {start} have unequal encoders: give two that were trained together."
            )
        for name, model in found.items():
            self.nanos[name].load_state_dict(model.state_dict())
        taken = found["nano"].connector.standardised
        width = len(self.plain.standardised.mean)
        self.plain.standardised.mean.copy_(taken.mean[:width])
        self.plain.standardised.std.copy_(taken.std[:width])

    @property
    def device(self) -> torch.device:
        return self.encoder.stem.weight.device

    @property
    def adaptable(self) -> nn.Module:
        """The part of the encoder that training may change."""
        return self.encoder.blocks[self.frozen_blocks :]

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        """Images [B, 3, H, W] to the features [B, WIDTH] that the three systems use."""
        pixels = pixels.to(self.device)
        x, *taps = self.fast(pixels) if self.fast else self._frozen(pixels)
        return summarise(self.encoder.late(x, taps, self.frozen_blocks))

    @torch.no_grad()
    def _frozen(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """The last output of the frozen blocks, then the maps up to there."""
        x, taps = self.encoder.early(pixels.contiguous(memory_format=torch.channels_last), self.frozen_blocks)
        return [x, *taps]

    def speed_up(self) -> None:
        """Compute the frozen blocks in OpenVINO, on a CPU and if it is installed."""
        if engine.is_installed() and self.device.type == "cpu":
            self.fast = engine.compile_encoder(self.encoder, self.frozen_blocks)

    @torch.no_grad()
    def standardise(self, batches: Sequence[torch.Tensor]) -> None:
        """Let the systems take features by their mean and std over these images, batches of [B, 3, H, W]."""
        shown = torch.cat([self.features(pixels) for pixels in batches])
        for nano in self.backbones.values():
            nano.model.connector.standardised.fit(shown)
        self.plain.standardised.fit(shown[:, : len(self.plain.standardised.mean)])

    def loss(self, step: Step) -> torch.Tensor:
        """Of the three systems together."""
        step = step.to(self.device)
        features = self.features(step.pixels)
        plain = self.plain(features)
        total = regression_loss(plain[:BATCH_SIZE], step.mos, step.groups) + damage_loss(plain, step)
        mos = torch.cat([step.mos, step.mos[:DAMAGED], step.mos[:DAMAGED]])
        for nano in self.backbones.values():
            tokens = [nano.readout.token_of(m) for m in mos.tolist()]
            answered = nano.answer_tokens(nano.model.connector(features), tokens)
            at = answered.read_at
            scores, _ = nano.readout.predict(answered.hidden[:, at], answered.logits[:, at])
            total = total + answer_cross_entropy(answered.logits[:BATCH_SIZE], answered.ids[:BATCH_SIZE])
            total = total + damage_loss(scores, step)
            if nano.readout.regressor is not None:
                total = total + regression_loss(scores[:BATCH_SIZE], step.mos, step.groups)
        return total

    @torch.inference_mode()
    def scores(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Scores [B] of images [B, 3, H, W], by system."""
        features = self.features(pixels)
        by_nano = {
            name: nano.readout.read(*nano.ask_tokens(nano.model.connector(features))).score
            for name, nano in self.backbones.items()
        }
        return {**by_nano, "plain": self.plain(features)}

    @torch.inference_mode()
    def token_logits(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Of images [B, 3, H, W], by nano: the logits [B, K] of its tokens, worst to best."""
        features = self.features(pixels)
        return {
            name: nano.ask_tokens(nano.model.connector(features))[1][:, nano.readout.token_ids]
            for name, nano in self.backbones.items()
        }

    def save(self, name: str, folder: Path) -> None:
        """One of the two nanos as a model of its own, in float16: half the size; scores of the eleven images in tests/images moved by
        at most .016."""
        copy.deepcopy(self.nanos[name]).half().save_pretrained(folder)
        self.processor.save_pretrained(folder)
        share(folder)


def damage_loss(scores: torch.Tensor, step: Step) -> torch.Tensor:
    """Ranking loss (paper eq. 33) of the scores of all images of a step: a damaged image should lie below itself undamaged, and
    below itself less damaged, by a margin in proportion to the difference in severity and to what there is to lose."""
    whole, mild, severe = scores[:DAMAGED], scores[BATCH_SIZE : BATCH_SIZE + DAMAGED], scores[BATCH_SIZE + DAMAGED :]
    to_lose = DROP * (step.mos[:DAMAGED] - SCALE[0])
    first, second = step.severities
    return (F.relu(to_lose * first - (whole - mild)) + F.relu(to_lose * (second - first) - (mild - severe))).mean()
