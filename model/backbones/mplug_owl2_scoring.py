"""An mPLUG-Owl2 model seen by a scorer: a picture or clip in, the hidden state and logits that a readout needs out, in one forward."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import nn

from model.backbones.mplug_owl2 import IMAGE_ID, MplugOwl2Model
from model.backbones.mplug_owl2_processor import MplugOwl2Processor
from model.backbones.mplug_owl2_prompts import TASKS, VARIANTS, prompt_text
from model.errors import ModelError
from model.labels import LEVEL_WORDS

SCORE_SCALE = (0.0, 5.0)  # Q-Scorer's `.score()` clamps to it
# Of the `.score()` of Q-Align, OneAlign and DeQA-Score; their command lines give (score - 1) / 4.
LEVEL_SCALE = (1.0, 5.0)


@dataclass(frozen=True)
class Prepared:
    """One picture or clip, ready for the model: pixels [n, 3, S, S] of its n frames."""

    pixels: torch.Tensor

    @property
    def shape_key(self) -> int:
        """Clips of as many frames go through the model together."""
        return len(self.pixels)

    @property
    def nbytes(self) -> int:
        return self.pixels.nbytes


@dataclass(frozen=True)
class Steps:
    """What upstream's two greedy steps say about one picture, as words; its score is regressed from the second step's hidden state.

    agrees: the first word is the bare prefix, so that the one forward, which takes it for granted, gives upstream's score.
    """

    first: str
    second: str
    agrees: bool
    score: float


class MplugOwl2Backbone:
    """A model and its processor with a task and a prompt.

    readout is score_token where the model has a regressor (Q-Scorer; scale 0 to 5, to which its scores are clamped) and level otherwise
    (Q-Align, OneAlign, DeQA-Score, and the untrained base; scale 1 to 5, or another one, (0, 1) being that of the upstream command lines).
    For score_token the bare prefix that Q-Scorer says before a score token is appended to the prompt, so
    that its last position is the one which upstream reaches after a second forward.
    """

    def __init__(
        self,
        model: MplugOwl2Model,
        processor: MplugOwl2Processor,
        task: str = "quality",
        variant: str = "newline",
        scale: tuple[float, float] | None = None,
    ):
        """task and variant: see mplug_owl2_prompts. scale: of a level model's scores, where it is not to be 1 to 5.

        Raises ModelError for what the model cannot be asked.
        """
        if task not in TASKS or variant not in VARIANTS:
            raise ModelError(
                f"mPLUG-Owl2 models know no task '{task}' with the prompt '{variant}': "
                f"choose a task of {', '.join(TASKS)} and a prompt of {', '.join(VARIANTS)}."
            )
        self.model, self.processor, self.task = model.eval(), processor, task
        self.prompt = prompt_text(task, variant)
        ids = processor.ids(self.prompt)
        self.image_start = ids.index(IMAGE_ID)
        if model.deepmlp is not None:
            if scale not in (None, SCORE_SCALE):
                raise ModelError("Q-Scorer's regressor was trained on the scale 0 to 5: leave the scale as it is.")
            self.readout, self.scale = "score_token", SCORE_SCALE
            self.tokens = tuple(model.config.score_tokens)
            token_ids = [processor.token_id(token) for token in self.tokens]
            ids.append(processor.bare_prefix_id())
        else:
            self.readout, self.scale = "level", scale or LEVEL_SCALE
            self.tokens = LEVEL_WORDS
            token_ids = [processor.word_id(word) for word in self.tokens]
        self.token_ids = torch.tensor(token_ids, device=self.device)
        self.prompt_ids = torch.tensor(ids, device=self.device)

    @property
    def regressor(self) -> nn.Module | None:
        return self.model.deepmlp

    @property
    def device(self) -> torch.device:
        return self.model.lm_head.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.model.dtype

    def prepare(self, image: Image.Image) -> Prepared:
        """One RGB picture."""
        return self.prepare_clip([image])

    @property
    def most_frames(self) -> int:
        """How many frames of a clip have room beside the prompt in the positions that the model was trained on."""
        config = self.model.config
        return max(1, (config.max_position_embeddings - len(self.prompt_ids)) // config.rows_per_image)

    def prepare_clip(self, frames: Iterable[Image.Image]) -> Prepared:
        """The RGB frames of one clip, in order; each takes as many positions as a picture. See model/video.py for which frames."""
        return Prepared(torch.stack([self.processor.pixels(frame) for frame in frames]))

    @torch.no_grad()
    def last_position(self, batch: Sequence[Prepared]) -> tuple[torch.Tensor, torch.Tensor]:
        """Hidden states [B, D] after the final norm and logits [B, V] where the level word or score token is predicted. The batch has one
        shape_key."""
        hidden = self._hidden(self._encode(batch), self.prompt_ids.expand(len(batch), -1), last=1)[:, -1]
        return hidden, self.model.lm_head(hidden)

    @torch.no_grad()
    def check_steps(self, batch: Sequence[Prepared]) -> list[Steps]:
        """What upstream's two greedy steps would have said and scored, for a batch of one shape_key. Raises ModelError for level models."""
        if self.readout != "score_token":
            raise ModelError("only score-token models (Q-Scorer) take two steps: leave --check-steps out.")
        image_rows, prompt = self._encode(batch), self.prompt_ids.expand(len(batch), -1)
        before, hidden = self._hidden(image_rows, prompt, last=2).unbind(1)
        first = self.model.lm_head(before).argmax(-1)
        agrees = first == self.prompt_ids[-1]
        if not agrees.all():
            said = torch.cat([prompt[:, :-1], first[:, None]], 1)
            hidden = self._hidden(image_rows, said, last=1)[:, -1]
        second = self.model.lm_head(hidden).argmax(-1)
        scores = self.regressor(hidden).float().clamp(*self.scale)
        columns = zip(first.tolist(), second.tolist(), agrees.tolist(), scores.tolist(), strict=True)
        return [Steps(self.processor.word(a), self.processor.word(b), ok, score) for a, b, ok, score in columns]

    def _encode(self, batch: Sequence[Prepared]) -> torch.Tensor:
        pixels = torch.stack([prepared.pixels for prepared in batch])
        return self.model.encode(pixels.to(self.device, self.dtype))

    def _hidden(self, image_rows: torch.Tensor, ids: torch.Tensor, last: int) -> torch.Tensor:
        return self.model.decode(image_rows, ids, self.image_start, last)
