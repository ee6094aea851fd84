"""Any VLM as a backbone: every AutoModelForImageTextToText of transformers that has a chat template.

    image + question --chat template--> prompt, "The quality of the image is" appended --model--> the next token

The model's own chat template formats the question, and the stem of the answer follows. Hidden state and logits are read at the position
that predicts the next token: a level word (zero-shot, or as Q-ReAlign was trained) or a score token (model/backbones/vlm/adapting.py).
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from peft import PeftModel
from PIL import Image
from torch import nn
from transformers import PreTrainedModel, ProcessorMixin

from model.backbones.adapting import LARGE_MODELS
from model.backbones.contract import Answered, Backbone
from model.backbones.peft_files import save_peft
from model.backbones.vlm.settings import VlmReadout, write_readout
from model.common.errors import ImageError, ModelError, ModelLoadError, first_line
from model.common.scale import Scale
from model.readouts.objective import BALANCED, BALANCED_LEVELS
from model.readouts.reading import Readout
from model.readouts.systems import System

TEXT_INPUTS = (
    "input_ids",
    "attention_mask",
    "token_type_ids",
    "mm_token_type_ids",
)  # [B, T]; all other inputs are vision
LENGTH_STEP = 256  # prompt lengths in one batch differ by less than this, which limits padding


@dataclass(frozen=True)
class Prepared:
    """The model's inputs for one image: text inputs [1, T] and vision inputs, whose first axis counts images or patches."""

    text: dict[str, torch.Tensor]
    vision: dict[str, torch.Tensor]

    @property
    def length(self) -> int:
        return self.text["input_ids"].shape[1]

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for tensor in (*self.text.values(), *self.vision.values()))

    @property
    def shape_key(self) -> tuple:
        """Equal for images that may share a batch: their vision inputs have equal shapes but for the first axis, along which they are
        concatenated, and their prompts have similar lengths and are padded."""
        shapes = tuple((name, tuple(tensor.shape[1:])) for name, tensor in sorted(self.vision.items()))
        return (self.length // LENGTH_STEP, *shapes)


class VlmBackbone(Backbone[Prepared]):
    """A VLM with its processor, and prompt and readout by `settings`. For a score_token readout the tokenizer must have the score tokens.

    taught: whether the model was trained with this readout; if not, fine-tuning adds Q-Scorer's. pieces: the text of each token id; a level
    word that the tokenizer splits is read by its first piece ("excellent" by " excel").
    """

    model: "PreTrainedModel | PeftModel"

    options = LARGE_MODELS
    plain_peft = """\
    model = AutoModelForImageTextToText.from_pretrained(BASE)
    add_score_tokens(model, AutoTokenizer.from_pretrained(BASE), read_readout(FOLDER))  # from model.backbones.vlm.adapting
    PeftModel.from_pretrained(model, FOLDER)"""

    def __init__(self, model: PreTrainedModel, processor: ProcessorMixin, settings: VlmReadout, taught: bool = True):
        self.model, self.processor, self.taught = model, processor, taught
        self._one_at_a_time = threading.Lock()
        self.read_by(settings)

    def read_by(self, settings: VlmReadout) -> None:
        """Set prompt and readout. Raises ModelLoadError when two level words start with the same piece."""
        self.settings, processor = settings, self.processor
        self.prompt = prompt_text(processor, settings)
        bos = self.tokenizer.bos_token
        self._special = {"add_special_tokens": False} if bos and self.prompt.startswith(bos) else {}
        before = self.encode_text(self.prompt[: -len(settings.stem)])
        self.stem_ids = after(before, self.encode_text(self.prompt))
        regressor: nn.Module | None = None
        if settings.kind == "level":
            ids = self._level_ids(settings.tokens)
        else:
            ids = torch.tensor(self.tokenizer.convert_tokens_to_ids(list(settings.tokens)))
            regressor = self.model.get_submodule("regressor").float()
        self.readout = Readout(settings.kind, settings.tokens, ids, Scale(*settings.scale), regressor)
        self.pieces = tuple(self.tokenizer.decode([token_id]) for token_id in ids.tolist())

    @property
    def tokenizer(self):
        return self.processor.tokenizer

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def losses(self) -> Mapping[str, float]:
        return BALANCED if self.readout.regressor is not None else BALANCED_LEVELS

    def encode_text(self, text: str) -> list[int]:
        return self.tokenizer(text, **self._special).input_ids

    def _level_ids(self, words: Sequence[str]) -> torch.Tensor:
        """The first piece of each level word after the stem. Raises ModelLoadError when two are equal."""
        prompt = self.encode_text(self.prompt)
        ids = [after(prompt, self.encode_text(f"{self.prompt} {word}"))[0] for word in words]
        if len(set(ids)) < len(ids):
            raise ModelLoadError(
                f"two of the level words {', '.join(words)} start with the same piece in this model's tokenizer: choose another model."
            )
        return torch.tensor(ids)

    def prepare(self, image: Image.Image) -> Prepared:
        """Preprocess an RGB image, without the model. Raises ImageError for an image that the model does not accept."""
        try:
            inputs = self.processor(images=[image], text=[self.prompt], return_tensors="pt", **self._special)
        except ValueError as error:  # Qwen-VL: aspect ratios beyond 200:1
            size = f"{image.width} x {image.height}"
            raise ImageError(f"this model refuses an image of {size} pixels: {first_line(error)}") from error
        text = {name: inputs[name] for name in TEXT_INPUTS if name in inputs}
        return Prepared(text, {name: tensor for name, tensor in inputs.items() if name not in text})

    @torch.no_grad()
    def ask(self, batch: Sequence[Prepared]) -> tuple[torch.Tensor, torch.Tensor]:
        last = torch.tensor([[image.length - 1] for image in batch])
        hidden, logits = self.at_positions(batch, last)
        return hidden[:, 0], logits[:, 0]

    def answer(
        self, batch: Sequence[Prepared], tokens: Sequence[str], questions: Sequence[str] | None = None
    ) -> Answered:
        """Supervised are the stem, the score token, "." and the end of turn; for a level word only the stem and its first piece, so that
        all answers have equal length."""
        if questions is not None:
            raise ModelError("the question of a VLM is part of its prepared images: omit the questions.")
        known = dict(zip(self.readout.tokens, self.readout.token_ids.tolist(), strict=True))
        ending = self._ending() if self.readout.regressor is not None else []
        answers = torch.tensor([[known[token], *ending] for token in tokens])
        last = torch.tensor([image.length - 1 for image in batch])  # predicts the token that is read
        positions = last[:, None] + torch.arange(-len(self.stem_ids), answers.shape[1])
        hidden, logits = self.at_positions(batch, positions, answers)
        ids = torch.cat([torch.tensor(self.stem_ids).expand(len(batch), -1), answers], 1).to(logits.device)
        return Answered(hidden, logits, ids, read_at=len(self.stem_ids))

    def _ending(self) -> list[int]:
        return [*self.tokenizer(".", add_special_tokens=False).input_ids, self.tokenizer.eos_token_id]

    @property
    def parts(self) -> tuple[str, ...]:
        from model.backbones.vlm.adapting import whole_modules

        return tuple(whole_modules(self.model))

    def can_read_as(self, system: System) -> bool:
        return self.reads_as(system) or (system.readout == "regressed" and self.readout.regressor is None)

    def teach(self, system: System) -> None:
        from model.backbones.vlm.adapting import learn_tokens

        if system.readout == "regressed" and self.readout.regressor is None:
            learn_tokens(self, system.tokens, system.hyper_units)
        self.taught = True  # `adapt` keeps this readout

    def adapt(self, rank: int) -> int:
        from model.backbones.vlm.adapting import attach

        return attach(self, rank)

    def save_adapter(self, folder: Path, base: str, base_revision: str) -> None:
        save_peft(self.model, folder, base, base_revision)
        write_readout(self.settings, folder)

    def at_positions(
        self, batch: Sequence[Prepared], positions: torch.Tensor, answers: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Hidden states [B, P, D] and logits [B, P, V] at `positions` [B, P]; `answers` [B, A]: ids appended to the prompts.

        lm_head runs at these positions only. The hidden states are its input, so they are after the final norm, and the logits include
        the model's own postprocessing (a softcap, a scale).
        """
        inputs = self.collate(batch, answers)
        positions = positions.to(self.device)
        seen = []

        def keep_positions(head: nn.Module, arguments: tuple) -> tuple:
            seen.append(torch.take_along_dim(arguments[0], positions[..., None].to(arguments[0].device), 1))
            return (seen[0], *arguments[1:])

        with self._one_at_a_time:  # threads share the model, which has the hook
            hook = self.model.get_output_embeddings().register_forward_pre_hook(keep_positions)
            try:
                logits = self.model(**inputs, use_cache=False).logits
            finally:
                hook.remove()
        return seen[0], logits

    def collate(self, batch: Sequence[Prepared], answers: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        """The inputs of a forward pass, on the model's device. Text is padded on the right, so all prompts start at position 0, and no
        position of a causal model depends on the padding."""
        width = max(image.length for image in batch) + (0 if answers is None else answers.shape[1])
        inputs = {}
        for name in batch[0].text:
            rows = []
            for number, image in enumerate(batch):
                row = image.text[name][0]
                if answers is not None:
                    row = torch.cat([row, self._answer_part(name, answers[number])])
                rows.append(F.pad(row, (0, width - len(row)), value=self._pad_id() if name == "input_ids" else 0))
            inputs[name] = torch.stack(rows).to(self.device)
        for name in batch[0].vision:
            joined = torch.cat([image.vision[name] for image in batch])
            inputs[name] = joined.to(self.device, self.dtype if joined.is_floating_point() else joined.dtype)
        return inputs

    def _answer_part(self, name: str, ids: torch.Tensor) -> torch.Tensor:
        """The values of the text input `name` for an answer: its ids, attention 1, or token type 0 (text)."""
        if name == "input_ids":
            return ids
        return torch.ones_like(ids) if name == "attention_mask" else torch.zeros_like(ids)

    def _pad_id(self) -> int:
        return next(n for n in (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id, 0) if n is not None)


def prompt_text(processor: ProcessorMixin, settings: VlmReadout) -> str:
    """The model's own chat template around one image and the question, then the stem of the answer."""
    content = [{"type": "image"}, {"type": "text", "text": settings.question}]
    template = processor.chat_template or processor.tokenizer.chat_template
    prompt = processor.tokenizer.apply_chat_template(
        [{"role": "user", "content": content}],
        chat_template=template["default"] if isinstance(template, dict) else template,
        add_generation_prompt=True,
        tokenize=False,
        **({} if settings.thinking is None else {"enable_thinking": settings.thinking}),
    )
    return prompt + (" " if prompt.endswith(":") else "") + settings.stem  # a space after "Assistant:"


def after(beginning: list[int], whole: list[int]) -> list[int]:
    """`whole` without its common prefix with `beginning`."""
    shared = next((n for n, (a, b) in enumerate(zip(beginning, whole, strict=False)) if a != b), len(beginning))
    return whole[shared:]
