"""The contract of a backbone: the interface of a multimodal LLM with its readout.

    prepare(image) -> ask(batch)                       scoring: hidden state and logits at the position that is read
    encode(image)  -> answer(batch, tokens)            training: the same at all positions of a given answer (teacher forcing)
    adapt(rank), save_adapter(folder, ...)             fine-tuning: attach an adapter, and write it

Each kind is a folder beside this file. Its `loading` module has the three functions of `Loading`, and is listed in
model/loading/opening.py. Nothing here imports torch.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, cast

from model.backbones.spec import QUALITY, Spec
from model.common.errors import ImageError, ModelError

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from torch import nn

    from model.common.progress import Progress
    from model.readouts.correction import Correction
    from model.readouts.reading import Reading, Readout
    from model.readouts.systems import System


class Prepared(Protocol):
    """An image as input of a backbone. Images of equal shape_key may share a batch, which does not change their results."""

    @property
    def shape_key(self) -> object: ...

    @property
    def nbytes(self) -> int: ...

    @property
    def length(self) -> int:
        """The number of positions of the LLM that it takes, or an upper bound."""


PreparedT = TypeVar("PreparedT", bound=Prepared)


@dataclass(frozen=True)
class Pixels:
    """An image or the frames of a clip as one tensor; length: in positions of the LLM."""

    pixels: "torch.Tensor"
    length: int

    @property
    def shape_key(self) -> tuple:
        return tuple(self.pixels.shape)

    @property
    def nbytes(self) -> int:
        return self.pixels.nbytes


@dataclass(frozen=True)
class Encoded:
    """The output of a frozen image encoder, as rows [R, D] of the LLM's input: computed once per image, not in every training step."""

    rows: "torch.Tensor"

    @property
    def shape_key(self) -> tuple:
        return tuple(self.rows.shape)

    @property
    def length(self) -> int:
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        return self.rows.nbytes


@dataclass(frozen=True)
class Answered:
    """A backbone's output for B given answers of A supervised tokens each: hidden [B, A, D] and logits [B, A, V] at the positions that
    predict their ids [B, A]. read_at: the index within A of the token from whose position the score is read."""

    hidden: "torch.Tensor"
    logits: "torch.Tensor"
    ids: "torch.Tensor"
    read_at: int


@dataclass(frozen=True)
class Steps:
    """The output of a published program's two greedy steps on one image. The score is regressed from the second step's hidden state.
    agrees: the first output is the token that the single forward pass assumes; then both give the same score."""

    first: str
    second: str
    agrees: bool
    score: float


@dataclass(frozen=True)
class Options:
    """Training options of an adapter: LoRA's rank (alpha is twice the rank; a resumed adapter keeps its own), Adam's peak learning rate,
    epochs, images per batch, and the minimum number of steps, which means more epochs for few images. accumulate: batches per step, each
    with its own loss. max_steps: training ends there (0: after the epochs).

    The number of epochs is fixed: choosing the best epoch on the held-out part would bias its figures.
    """

    rank: int = 8
    learning_rate: float = 1e-3
    epochs: int = 10
    batch_size: int = 16
    min_steps: int = 20
    accumulate: int = 1
    max_steps: int = 0


PARTS = ("vision", "connector", "head")  # that can be trained in full beside a LoRA, where a backbone has them


class Backbone(ABC, Generic[PreparedT]):
    """A multimodal LLM with its readout and current task. PreparedT: the type of its prepared images.

    tasks: those that it supports. options, losses: defaults of fine-tuning; losses are weights by the names in
    model/readouts/objective.py. plain_peft: Python code that loads its adapters with plain PEFT. correction: of quality scores, if an
    adapter has one. also_trained: of `parts`, those that training changes in full; set it before encoding images and before `adapt`.
    """

    model: "nn.Module"
    readout: "Readout"
    task: str = QUALITY
    options: Options = Options()
    plain_peft: str = ""
    correction: "Correction | None" = None
    also_trained: frozenset[str] = frozenset()

    # Scoring

    @property
    def device(self) -> "torch.device":
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> "torch.dtype":
        return cast("torch.dtype", self.model.dtype)

    @property
    def engine(self) -> str:
        """The engine that computes most of the model during scoring: torch, or another that gives the same scores."""
        return "torch"

    @contextmanager
    def on_torch(self) -> Iterator[None]:
        """Within this context, torch computes the whole model."""
        yield

    @property
    def tasks(self) -> tuple[str, ...]:
        return (QUALITY,)

    def for_task(self, task: str) -> "Backbone[PreparedT]":
        """The same model for another of its tasks, with shared weights. Raises ModelError for an unsupported task."""
        if task not in self.tasks:
            raise ModelError(f"this model does not support the task '{task}': choose one of {', '.join(self.tasks)}.")
        return self

    @abstractmethod
    def prepare(self, image: "Image.Image") -> PreparedT:
        """Preprocess an RGB image, without the model. Raises ImageError for an image that the model does not accept."""

    @abstractmethod
    def ask(self, batch: Sequence[PreparedT]) -> "tuple[torch.Tensor, torch.Tensor]":
        """Hidden states [B, D] after the final norm and logits [B, V] at the position that predicts the score token or level word, for
        images of equal shape_key."""

    def ask_with_features(self, batch: Sequence[PreparedT]) -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor]":
        """`ask`, and the frozen model's features [B, F] for learning a correction: by default the hidden states."""
        hidden, logits = self.ask(batch)
        return hidden, logits, hidden.float()

    def read(self, batch: Sequence[PreparedT]) -> "Reading":
        """The readout's reading of a batch of equal shape_key, with the score corrected if the adapter has a correction."""
        if self.correction is None or self.task != QUALITY:
            return self.readout.read(*self.ask(batch))
        hidden, logits, features = self.ask_with_features(batch)
        reading = self.readout.read(hidden, logits)
        return replace(reading, score=self.corrected(reading.score, features))

    def corrected(self, scores: "torch.Tensor", features: "torch.Tensor") -> "torch.Tensor":
        """Quality scores [B], corrected by features [B, F] if the adapter has a correction."""
        return self.correction(scores, features).clamp(*self.readout.scale) if self.correction else scores

    @property
    def most_frames(self) -> int:
        """The maximum number of frames of a clip; 0 for a model without video."""
        return 0

    def prepare_frames(self, frames: "Iterable[Image.Image]") -> PreparedT:
        """Preprocess the RGB frames of one clip, in order. Raises ImageError for a model without video."""
        raise ImageError("this model does not support video: choose one whose tasks include video, such as one-align")

    def check_steps(self, batch: Sequence[PreparedT]) -> list[Steps]:
        """The output of the original program's two greedy steps. Raises ModelError for a model whose original takes one step."""
        raise ModelError("the original program of this model takes one step, as this one does: omit --check-steps.")

    # Training

    @property
    @abstractmethod
    def losses(self) -> Mapping[str, float]: ...

    @abstractmethod
    def answer(
        self, batch: Sequence[PreparedT], tokens: Sequence[str], questions: Sequence[str] | None = None
    ) -> Answered:
        """Teacher forcing: the output along the right answer to each image of equal shape_key, with the training prompt. tokens [B]:
        the readout's tokens in these answers.

        questions [B]: in place of the backbone's own. Raises ModelError for a backbone with a fixed question.
        """

    @property
    def parts(self) -> tuple[str, ...]:
        """Those of PARTS that can be trained in full."""
        return ()

    def reads_as(self, system: "System") -> bool:
        """Whether the model has a recipe's readout."""
        kind = "score_token" if system.readout == "regressed" else "level"
        return (kind, tuple(system.tokens)) == (self.readout.kind, self.readout.tokens) and not system.hyper_units

    def can_read_as(self, system: "System") -> bool:
        """Whether `teach` can give the model a recipe's readout."""
        return self.reads_as(system)

    def teach(self, system: "System") -> None:
        """Give the model a recipe's readout, before `adapt`, if `can_read_as`; one that it has already stays as it is."""

    @property
    def encoder_is_frozen(self) -> bool:
        return not self.also_trained & {"vision", "connector"}

    def encode(self, image: "Image.Image") -> PreparedT:
        """`prepare`, and the frozen first part of the model, if it has one."""
        return self.prepare(image)

    @abstractmethod
    def adapt(self, rank: int) -> int:
        """Attach a new adapter, unless one is attached, and make its weights trainable, in float32. A model that was not trained with a
        readout gets Q-Scorer's score tokens and regressor as its new `readout`. Returns the adapter's rank."""

    @abstractmethod
    def save_adapter(self, folder: Path, base: str, base_revision: str) -> None:
        """Write the adapter without its card. base: the public name of its base model."""


class Loading(Protocol):
    """The interface of each backbone's `loading` module."""

    def load(
        self,
        spec: Spec,
        device: "torch.device",
        dtype: str,
        trainable: bool = False,
        progress: "Progress | None" = None,
    ) -> Backbone:
        """The backbone in the folders of `spec`, with its adapter merged or, if trainable, attached.

        dtype: a key of model/common/devices.py, or auto: the kind's default for the device. Raises ModelError for an unsupported dtype,
        TooLittleMemory (before loading) for a model that does not fit, ModelLoadError for missing or invalid files.
        """

    def check_adaptable(self, spec: Spec, dtype: str) -> None:
        """Raises DataError if no adapter can be trained for `spec`, or not in `dtype`."""
