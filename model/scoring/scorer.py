"""A scorer: backbone + readout + task. The page, the commands and evaluation all score through it."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path

import torch
from PIL import Image

from model.backbones.contract import Backbone
from model.backbones.spec import revision
from model.common.devices import choose_device
from model.common.errors import ImageError, ModelError, OutOfMemory, ScoringFailed, first_line
from model.common.memory import is_out_of_memory
from model.common.progress import Progress
from model.images.decoding import open_image
from model.images.given import Given, given_image
from model.loading.hub import download
from model.loading.known import resolve
from model.loading.opening import check_before_download, load_backbone
from model.readouts.levels import intervals
from model.readouts.reading import Reading
from model.scoring.assessment import Assessment, Failure

DECODERS = 2  # threads that decode images; each holds one full-size image at a time
CHUNK = 4  # batches of prepared images that are grouped by shape together
AHEAD = 256e6  # bytes of prepared images that may be queued while the model computes


class Scorer:
    """Assesses images with one model. `readout` (its kind), `scale` and `tokens` (worst first) are the backbone's; `revision` identifies
    the weights. turn: calls a function with arguments once this scorer may compute, if several share a processor.
    elsewhere: does what `assess_here` does, in another process; called with this scorer and the same arguments."""

    def __init__(
        self,
        name: str,
        revision: str,
        backbone: Backbone,
        turn: Callable = lambda f, *a: f(*a),
        elsewhere: Callable | None = None,
    ):
        self.name, self.revision, self.backbone, self.turn, self.elsewhere = name, revision, backbone, turn, elsewhere
        readout = backbone.readout
        self.task, self.readout, self.scale, self.tokens = backbone.task, readout.kind, readout.scale, readout.tokens

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that this model supports."""
        return self.backbone.tasks

    def asking(self, task: str) -> "Scorer":
        """A scorer that shares the loaded model, for another of its tasks. Raises ModelError for an unsupported task."""
        if task == self.task:
            return self
        return Scorer(self.name, self.revision, self.backbone.for_task(task), self.turn, self.elsewhere)

    def __call__(self, images: Given | list[Given] | tuple[Given, ...]) -> Assessment | list[Assessment]:
        """Assess a path, a file's bytes, a PIL image or a numpy array; or a list of these, which returns a list. Raises ImageError for an
        unreadable image (`assess_files` skips it instead), ModelError if scoring fails."""
        several = list(images) if isinstance(images, list | tuple) else [images]
        names = [str(image) if isinstance(image, str | Path) else f"image {n}" for n, image in enumerate(several, 1)]
        assessed = self.assess([given_image(image) for image in several], names)
        return assessed if isinstance(images, list | tuple) else assessed[0]

    def assess(
        self, images: Sequence[Image.Image], names: Sequence[str] | None = None, batch_size: int = 8
    ) -> list[Assessment]:
        """Assess RGB images, in order. Batching changes no score (by more than 1e-4 in float32)."""
        names = names or [f"image {n}" for n in range(1, len(images) + 1)]
        return self.assess_prepared([self.backbone.prepare(image) for image in images], names, batch_size)

    def assess_files(self, paths: Iterable[str | Path], batch_size: int = 8) -> Iterator[Assessment | Failure]:
        """Assess image files (for the task video: video files), lazily and in order. A file that cannot be read or scored yields a
        Failure, and the others are still scored.

        The next files are decoded and prepared while the model computes; at most DECODERS images are in memory at full size. Closing the
        iterator ends its threads.
        """
        # Videos have many frames: queue only one batch.
        names, size = map(str, paths), batch_size if self.task == "video" else CHUNK * batch_size
        pool = ThreadPoolExecutor(DECODERS, "decode")
        waiting: deque[tuple[str, Future]] = deque()

        def decode(count: int) -> None:
            waiting.extend((name, pool.submit(self._prepared_or_failure, name)) for name in islice(names, count))

        try:
            decode(size)
            while waiting:
                chunk, prepared = zip(*((name, future.result()) for name, future in waiting), strict=True)
                waiting.clear()
                decode(min(size, room_ahead(prepared)))  # on the pool's threads, while the model computes
                good = [(p, name) for p, name in zip(prepared, chunk, strict=True) if not isinstance(p, Failure)]
                assessed = iter(self._assess_or_fail([p for p, _ in good], [name for _, name in good], batch_size))
                for p in prepared:
                    yield p if isinstance(p, Failure) else next(assessed)
                decode(size - len(waiting))
        finally:
            pool.shutdown(cancel_futures=True)

    def _assess_or_fail(
        self, prepared: Sequence, names: Sequence[str], batch_size: int
    ) -> Sequence[Assessment | Failure]:
        """`assess_prepared`; if that fails, each image is scored alone, and yields a Failure if that fails too."""
        try:
            return self.assess_prepared(prepared, names, batch_size)
        except ScoringFailed as error:
            if len(prepared) == 1:
                return [Failure(names[0], str(error))]
        return [self._assess_or_fail([p], [name], 1)[0] for p, name in zip(prepared, names, strict=True)]

    def _prepared_or_failure(self, path: str):
        try:
            return self.prepare_video(path) if self.task == "video" else self.backbone.prepare(open_image(path))
        except ImageError as error:
            return Failure(path, str(error))

    def prepare_video(self, path: str | Path):
        """A video file, ready for `assess_prepared`; its `pixels` has one entry per frame. Raises ImageError."""
        from model.images.video import video_frames

        return self.backbone.prepare_frames(video_frames(path, self.most_frames))

    @property
    def most_frames(self) -> int:
        """The maximum number of frames of a video."""
        from model.images.video import MAX_FRAMES

        return min(MAX_FRAMES, self.backbone.most_frames)

    def check_steps(self, paths: Iterable[str | Path]) -> Iterator[tuple[str, str]]:
        """The images for which the first of the published Q-Scorer's two greedy steps would not output the token that our single forward
        assumes, each with that output. Raises ModelError for other models."""
        for path in map(str, paths):
            prepared = self._prepared_or_failure(path)
            if not isinstance(prepared, Failure):
                (steps,) = self.backbone.check_steps([prepared])
                if not steps.agrees:
                    yield path, steps.first

    def assess_prepared(self, prepared: Sequence, names: Sequence[str], batch_size: int) -> list[Assessment]:
        """Assess prepared images, here or `elsewhere`; those of equal shape_key are batched, at most `batch_size` at a time."""
        if self.elsewhere and prepared:
            return self.elsewhere(self, prepared, names, batch_size)
        return self.assess_here(prepared, names, batch_size)

    def assess_here(self, prepared: Sequence, names: Sequence[str], batch_size: int) -> list[Assessment]:
        """`assess_prepared` in this process."""
        by_shape = defaultdict(list)
        for n, image in enumerate(prepared):
            by_shape[image.shape_key].append(n)
        results: dict[int, Assessment] = {}
        for members in by_shape.values():
            waiting, size = deque(members), batch_size
            while waiting:
                batch = list(islice(waiting, size))
                reading = self._read_or_none([prepared[n] for n in batch])
                if reading is None:
                    size = max(1, len(batch) // 2)
                    continue
                for row, n in enumerate(batch):
                    results[waiting.popleft()] = self._assessment(names[n], reading, row)
        return [results[n] for n in range(len(prepared))]

    def _read_or_none(self, batch: Sequence) -> Reading | None:
        """The batch's reading; None if it does not fit into memory. Raises ScoringFailed, and OutOfMemory for a single image."""
        try:
            return self._read(batch)
        except OutOfMemory:
            if len(batch) == 1:
                raise
        if torch.cuda.is_available():  # after the except block, since the exception's traceback keeps tensors alive
            torch.cuda.empty_cache()
        return None

    def _read(self, batch: Sequence) -> Reading:
        reading = self.turn(self._forward, batch)
        if not reading.score.isfinite().all():
            raise ModelError(
                f"{self.name} produced NaN or infinity: where it computes in float16, choose --dtype bfloat16 or float32; "
                "else its weights are damaged, so download them again."
            )
        return reading

    @torch.inference_mode()
    def _forward(self, batch: Sequence) -> Reading:
        try:
            return self.backbone.read(batch)
        except (RuntimeError, MemoryError) as error:  # torch raises RuntimeError for most failures
            if is_out_of_memory(error):
                remedy = "free some, or choose a smaller model, --dtype bfloat16 or another --device"
                raise OutOfMemory(f"{self.name} ran out of memory while scoring: {remedy}.") from error
            raise ScoringFailed(f"{self.name} could not score it: {first_line(error)}.") from error

    def _assessment(self, name: str, reading: Reading, row: int) -> Assessment:
        probabilities = reading.probabilities[row].tolist()
        return Assessment(
            image=name,
            score=reading.score[row].item(),
            scale=self.scale,
            tokens=self.tokens,
            probabilities=tuple(probabilities),
            token_mass=reading.token_mass[row].item(),
            expectation=reading.expectation[row].item(),
            uncertainty=reading.uncertainty[row].item(),
            interval=intervals(self.scale, len(self.tokens))[probabilities.index(max(probabilities))],
            model=self.name,
            revision=self.revision,
        )


def room_ahead(prepared: Sequence) -> int:
    """How many images of this size may be queued within AHEAD bytes; at least one."""
    largest = max((p.nbytes for p in prepared if not isinstance(p, Failure)), default=1)
    return max(1, int(AHEAD // largest))


def load_scorer(
    spec: str,
    device: str = "auto",
    dtype: str = "auto",
    adapters: Path | None = None,
    task: str = "quality",
    progress: Progress | None = None,
) -> Scorer:
    """Load the model of a SPEC (see model/loading/known.py). adapters: the folder of adapters given by name.

    device: auto (CUDA, else Apple's GPU, else CPU), cpu, cuda or mps. dtype: auto (float32; bfloat16 for large models on a GPU), float32,
    bfloat16, float16, and for mPLUG-Owl2 8bit and 4bit. task: quality; OneAlign also supports aesthetics and video. progress: see
    model/common/progress.py.

    Raises ModelError for a model that is unknown, incomplete or too large for memory, and for a device that is not available.
    """
    where = choose_device(device)
    check_before_download(spec, where, dtype)
    found = resolve(spec, adapters, partial(download, progress=progress))
    backbone = load_backbone(found, where, dtype, task, progress)
    return Scorer(found.name, revision(found), backbone)
