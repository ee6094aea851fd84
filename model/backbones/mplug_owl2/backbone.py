"""mPLUG-Owl2 as a backbone: from an image or clip, in one forward pass, to the hidden state and logits for a readout."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL import Image

from model.backbones.adapting import LARGE_MODELS
from model.backbones.contract import PARTS, Answered, Backbone, Encoded, Pixels, Steps
from model.backbones.mplug_owl2.network import IMAGE_ID, MplugOwl2Model
from model.backbones.mplug_owl2.processor import MplugOwl2Processor
from model.backbones.mplug_owl2.prompts import NO_LABEL, QUESTIONS, STEMS, TASKS, VARIANTS, prompt_text
from model.backbones.spec import QUALITY
from model.common.errors import ModelError
from model.common.scale import Scale
from model.readouts.levels import LEVEL_WORDS
from model.readouts.reading import Readout
from model.readouts.systems import RELEASED_Q_ALIGN, RELEASED_Q_SCORER, System

if TYPE_CHECKING:
    from peft import PeftModel

    from model.backbones.mplug_owl2.layouts import Layout

SCORE_SCALE = Scale(0.0, 5.0)  # to which Q-Scorer's `.score()` clamps
# Of `.score()` in Q-Align, OneAlign and DeQA-Score; their command lines print (score - 1) / 4.
LEVEL_SCALE = Scale(1.0, 5.0)


class MplugOwl2Backbone(Backbone[Pixels | Encoded]):
    """A model and its processor with a task and a prompt.

    The readout is score_token if the model has a regressor (Q-Scorer; scale 0 to 5, to which scores are clamped), else level (Q-Align,
    OneAlign, DeQA-Score and the base; scale 1 to 5). For score_token, the bare prefix that Q-Scorer outputs before a score token is added
    to the prompt, so that its last position is the one that upstream reaches in its second forward pass.

    layout: of the files that the model was loaded from; an adapter is written as a difference from it. adapted: `model` with a LoRA.
    """

    model: MplugOwl2Model

    options = LARGE_MODELS
    taught = False  # whether a recipe has chosen the readout
    plain_peft = """\
    from model.backbones.mplug_owl2.layouts import find_layout
    from model.backbones.mplug_owl2.loading import load_model
    model, processor = load_model(find_layout(FOLDER, BASE), merge=False)
    PeftModel.from_pretrained(model, FOLDER)"""

    def __init__(
        self,
        model: MplugOwl2Model,
        processor: MplugOwl2Processor,
        task: str = QUALITY,
        variant: str = "newline",
        layout: "Layout | None" = None,
        adapted: "PeftModel | None" = None,
    ):
        """task and variant: see prompts.py. Raises ModelError for an unsupported one."""
        if task not in TASKS or variant not in VARIANTS:
            raise ModelError(
                f"mPLUG-Owl2 models do not support the task '{task}' with the prompt '{variant}': "
                f"choose a task of {', '.join(TASKS)} and a prompt of {', '.join(VARIANTS)}."
            )
        self.model, self.processor, self.task = model.eval(), processor, task
        self.variant, self.layout, self.adapted = variant, layout, adapted
        self.update_readout()

    def update_readout(self) -> None:
        """Set readout and prompt from the model's current state."""
        model, processor = self.model, self.processor
        self.prompt = prompt_text(self.task, self.variant)
        ids = processor.ids(self.prompt)
        self.image_start = ids.index(IMAGE_ID)
        if model.deepmlp is not None:
            tokens = tuple(model.config.score_tokens)
            token_ids = torch.tensor([processor.token_id(token) for token in tokens], device=self.device)
            self.readout = Readout("score_token", tokens, token_ids, SCORE_SCALE, model.deepmlp.float())
            ids.append(processor.bare_prefix_id())
        else:
            token_ids = torch.tensor([processor.word_id(word) for word in LEVEL_WORDS], device=self.device)
            self.readout = Readout("level", LEVEL_WORDS, token_ids, LEVEL_SCALE)
        self.prompt_ids = torch.tensor(ids, device=self.device)

    @property
    def tasks(self) -> tuple[str, ...]:
        return TASKS if self.readout.kind == "level" else (QUALITY,)

    def for_task(self, task: str) -> "MplugOwl2Backbone":
        super().for_task(task)
        return MplugOwl2Backbone(self.model, self.processor, task, layout=self.layout, adapted=self.adapted)

    @property
    def device(self) -> torch.device:
        return self.model.model.embed_tokens.weight.device

    @property
    def losses(self) -> Mapping[str, float]:
        """The weights of the released programs."""
        return RELEASED_Q_SCORER if self.readout.regressor is not None else RELEASED_Q_ALIGN

    def prepare(self, image: Image.Image) -> Pixels:
        return self.prepare_frames([image])

    @property
    def most_frames(self) -> int:
        """The number of frames that fit, with the prompt, into the model's maximum positions; 0 for models without video."""
        if "video" not in self.tasks:
            return 0
        config = self.model.config
        return max(1, (config.max_position_embeddings - len(self.prompt_ids)) // config.rows_per_image)

    def prepare_frames(self, frames: Iterable[Image.Image]) -> Pixels:
        """Each frame takes as many positions as an image; model/images/video.py selects the frames."""
        pixels = torch.stack([self.processor.pixels(frame) for frame in frames])
        return Pixels(pixels, len(pixels) * self.model.config.rows_per_image)

    @torch.no_grad()
    def encode(self, image: Image.Image) -> Pixels | Encoded:
        if not self.encoder_is_frozen:
            return self.prepare(image)
        return Encoded(self.image_rows([self.prepare(image)])[0].cpu())

    def image_rows(self, batch: Sequence[Pixels | Encoded]) -> torch.Tensor:
        """Images, prepared or encoded, to rows [B, R, D] of the LLM's input."""
        if isinstance(batch[0], Encoded):
            return torch.stack([image.rows for image in batch if isinstance(image, Encoded)]).to(self.device)
        pixels = torch.stack([image.pixels for image in batch if isinstance(image, Pixels)])
        return self.model.encode(pixels.to(self.device, self.dtype))

    @torch.no_grad()
    def ask(self, batch: Sequence[Pixels | Encoded]) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = self._hidden(self.image_rows(batch), self.prompt_ids.expand(len(batch), -1), last=1)[:, -1]
        return hidden, self.model.lm_head(hidden)

    def answer(
        self, batch: Sequence[Pixels | Encoded], tokens: Sequence[str], questions: Sequence[str] | None = None
    ) -> Answered:
        """With the original training prompt, which differs from the scoring prompt: system sentence, image, question. Supervised are the
        stem, the token, a full stop and </s>."""
        questions = questions or [QUESTIONS[self.task]] * len(tokens)
        examples = [
            self.processor.training_example(question, f"{STEMS[self.task]} {token}.")
            for question, token in zip(questions, tokens, strict=True)
        ]
        length = max(len(ids) for ids, _ in examples)
        ids = torch.tensor([ids + [0] * (length - len(ids)) for ids, _ in examples], device=self.device)
        labels = torch.tensor([known + [NO_LABEL] * (length - len(known)) for _, known in examples], device=self.device)
        rows, places = (labels != NO_LABEL).nonzero(as_tuple=True)
        start = int((ids[0] == IMAGE_ID).nonzero())
        hidden = self.model.decode(self.image_rows(batch), ids, start)
        # After the image mark, which became R rows, all positions shift by R - 1; the predictor is one position earlier.
        hidden = hidden[rows, places + hidden.shape[1] - length - 1].unflatten(0, (len(tokens), -1))
        taught = labels[rows, places].unflatten(0, (len(tokens), -1))
        return Answered(hidden, self.model.lm_head(hidden), taught, taught.shape[1] - 3)

    @torch.no_grad()
    def check_steps(self, batch: Sequence[Pixels | Encoded]) -> list[Steps]:
        """Output and score of upstream's two greedy steps, for a batch of equal shape_key. Raises ModelError for level models."""
        if self.readout.regressor is None:
            return super().check_steps(batch)
        image_rows, prompt = self.image_rows(batch), self.prompt_ids.expand(len(batch), -1)
        before, hidden = self._hidden(image_rows, prompt, last=2).unbind(1)
        first = self.model.lm_head(before).argmax(-1)
        agrees = first == self.prompt_ids[-1]
        if not agrees.all():
            continued = torch.cat([prompt[:, :-1], first[:, None]], 1)
            hidden = self._hidden(image_rows, continued, last=1)[:, -1]
        second = self.model.lm_head(hidden).argmax(-1)
        scores = self.readout.regressor(hidden.float()).clamp(*self.readout.scale)
        columns = zip(first.tolist(), second.tolist(), agrees.tolist(), scores.tolist(), strict=True)
        return [Steps(self.processor.word(a), self.processor.word(b), ok, score) for a, b, ok, score in columns]

    @property
    def parts(self) -> tuple[str, ...]:
        return PARTS

    def can_read_as(self, system: System) -> bool:
        return self.reads_as(system) or (system.readout == "regressed" and self.readout.regressor is None)

    def teach(self, system: System) -> None:
        from model.backbones.mplug_owl2.adapting import add_score_tokens

        if system.readout == "regressed" and self.readout.regressor is None:
            add_score_tokens(self.model, self.processor, system.tokens, system.hyper_units)
            self.update_readout()
        self.taught = True

    def adapt(self, rank: int) -> int:
        from model.backbones.mplug_owl2.adapting import attach

        return attach(self, rank)

    def save_adapter(self, folder: Path, base: str, base_revision: str) -> None:
        from model.backbones.mplug_owl2.adapting import save

        save(self, folder, base, base_revision)

    def _hidden(self, image_rows: torch.Tensor, ids: torch.Tensor, last: int) -> torch.Tensor:
        return self.model.decode(image_rows, ids, self.image_start, last)
