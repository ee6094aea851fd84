"""The contract of a backbone: what a multimodal LLM with its readout offers to all that stands on it.

    prepare(image) -> ask(batch)                       scoring: hidden state and logits where the score is read
    encode(image)  -> answer(batch, tokens)            training: the same along a given answer, by teacher forcing
    adapt(rank), save_adapter(folder, ...)             fine-tuning: an adapter attached, and written

Each kind is a folder beside this file whose `loading` module has the three functions of `Loading`; model/loading/opening.py names them
in one table. Nothing here needs torch until it is used.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from model.backbones.spec import QUALITY, Spec
from model.common.errors import ImageError, ModelError

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from torch import nn

    from model.common.progress import Progress
    from model.readouts.correction import Correction
    from model.readouts.reading import Reading, Readout


class Prepared(Protocol):
    """An image as a backbone takes it. Those with equal shape_key may share a batch, and each gets what it would get alone."""

    @property
    def shape_key(self) -> object: ...

    @property
    def nbytes(self) -> int: ...

    @property
    def length(self) -> int:
        """How many positions of the LLM it takes, or a bound on that."""


@dataclass(frozen=True)
class Pixels:
    """An image or the frames of a clip as one tensor; length: of the rows that a decoder sees."""

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
    """An image behind a frozen encoder, as rows [R, D] of the LLM's input: encoded once and not in every step of a training."""

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
    """What a backbone makes of B given answers of A taught tokens each: hidden [B, A, D] and logits [B, A, V] at the positions that predict
    their ids [B, A]. read_at: which of the A is the token from whose position the score is read."""

    hidden: "torch.Tensor"
    logits: "torch.Tensor"
    ids: "torch.Tensor"
    read_at: int


@dataclass(frozen=True)
class Steps:
    """What the two greedy steps of a published program say about one image, as words; its score is regressed from the second step's hidden
    state. agrees: the first word is the one that the single forward takes for granted, which then gives the same score."""

    first: str
    second: str
    agrees: bool
    score: float


@dataclass(frozen=True)
class Options:
    """How an adapter is trained: LoRA's rank (alpha is twice that; an adapter that is resumed keeps its own), Adam's peak learning rate,
    passes over the images, images a step, and the fewest steps: a handful of images is passed over more often.

    The number of passes is fixed beforehand: choosing the best by the held-out part would make its figures too good.
    """

    rank: int = 8
    learning_rate: float = 1e-3
    epochs: int = 10
    batch_size: int = 16
    min_steps: int = 20


class Backbone(ABC):
    """A multimodal LLM with its readout and the task that it is asked.

    tasks: all that it can be asked. options, losses: how it is fine-tuned where nobody says; weights by the names in
    model/readouts/objective.py. plain_peft: lines of Python by which plain PEFT loads its adapters. correction: of quality scores, where an
    adapter has one.
    """

    model: "nn.Module"
    readout: "Readout"
    task: str = QUALITY
    options: Options = Options()
    plain_peft: str = ""
    correction: "Correction | None" = None

    # Scoring

    @property
    def device(self) -> "torch.device":
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> "torch.dtype":
        return cast("torch.dtype", self.model.dtype)

    @property
    def engine(self) -> str:
        """What computes most of the model while it scores: torch, or an engine that stands in for it and gives the same scores."""
        return "torch"

    @contextmanager
    def on_torch(self) -> Iterator[None]:
        """While it is entered, torch computes all of the model."""
        yield

    @property
    def tasks(self) -> tuple[str, ...]:
        return (QUALITY,)

    def for_task(self, task: str) -> "Backbone":
        """The same model asked for another of its tasks; no weights are loaded again. Raises ModelError for one that it does not know."""
        if task not in self.tasks:
            raise ModelError(f"this model cannot be asked for '{task}': it knows {', '.join(self.tasks)}.")
        return self

    @abstractmethod
    def prepare(self, image: "Image.Image") -> Prepared:
        """An RGB image; the work that needs no model. Raises ImageError for one that the model does not take."""

    @abstractmethod
    def ask(self, batch: Sequence[Prepared]) -> "tuple[torch.Tensor, torch.Tensor]":
        """Hidden states [B, D] after the final norm and logits [B, V] where score token or level word is predicted. One shape_key."""

    def ask_with_features(self, batch: Sequence[Prepared]) -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor]":
        """`ask`, and the features [B, F] of the frozen model from which a correction is learned: the hidden states, or what a kind has
        that says more."""
        hidden, logits = self.ask(batch)
        return hidden, logits, hidden.float()

    def read(self, batch: Sequence[Prepared]) -> "Reading":
        """What the readout says of a batch of one shape_key, its score corrected where the adapter corrects."""
        if self.correction is None or self.task != QUALITY:
            return self.readout.read(*self.ask(batch))
        hidden, logits, features = self.ask_with_features(batch)
        reading = self.readout.read(hidden, logits)
        return replace(reading, score=self.corrected(reading.score, features))

    def corrected(self, scores: "torch.Tensor", features: "torch.Tensor") -> "torch.Tensor":
        """Quality scores [B] as the adapter corrects them, by features [B, F]."""
        return self.correction(scores, features).clamp(*self.readout.scale) if self.correction else scores

    @property
    def most_frames(self) -> int:
        """How many frames of a clip the model takes; 0 where it takes no videos."""
        return 0

    def prepare_frames(self, frames: "Iterable[Image.Image]") -> Prepared:
        """The RGB frames of one clip, in order. Raises ImageError where the model takes none."""
        raise ImageError("this model takes no videos: choose one whose tasks include video, such as one-align")

    def check_steps(self, batch: Sequence[Prepared]) -> list[Steps]:
        """What the original program's two greedy steps would have said. Raises ModelError for a model whose original takes one step."""
        raise ModelError(
            "the original program of this model takes one step, as this one does: leave --check-steps out."
        )

    # Training

    @property
    @abstractmethod
    def losses(self) -> Mapping[str, float]: ...

    @abstractmethod
    def answer(
        self, batch: Sequence[Prepared], tokens: Sequence[str], questions: Sequence[str] | None = None
    ) -> Answered:
        """The right answer to each image of one shape_key, `tokens` [B] of the readout standing in it, as its training puts it.

        questions [B]: asked in the place of the backbone's own. Raises ModelError where it can be asked nothing else.
        """

    def encode(self, image: "Image.Image") -> Prepared:
        """As `prepare`, and as far through the model as nothing is trained."""
        return self.prepare(image)

    @abstractmethod
    def adapt(self, rank: int) -> int:
        """Attach a new adapter, unless one is attached already, and let its weights be trainable, in float32. A model that was taught no
        readout gets Q-Scorer's score tokens and regressor, and its `readout` changes. Returns the adapter's rank."""

    @abstractmethod
    def save_adapter(self, folder: Path, base: str, base_revision: str) -> None:
        """Write the adapter, all but its card. base: the name by which others know the model that it belongs on."""


class Loading(Protocol):
    """What the module `loading` of each kind of backbone offers."""

    def load(
        self,
        spec: Spec,
        device: "torch.device",
        dtype: str,
        trainable: bool = False,
        progress: "Progress | None" = None,
    ) -> Backbone:
        """The backbone in the folders of `spec`, its adapter merged or, when trainable, attached.

        dtype: a word of model/common/devices.py; auto is what suits the kind and the device. Raises ModelError for a dtype that the kind
        does not know, TooLittleMemory before loading what does not fit, ModelLoadError for what is missing or broken.
        """

    def check_adaptable(self, spec: Spec, dtype: str) -> None:
        """Raises DataError where no adapter can be trained for `spec`, or not in `dtype`."""

    def count_parameters(self, spec: Spec) -> float:
        """How many numbers the weights in the folders of `spec` are, found without loading them."""
