"""A scorer: backbone + readout + task, ready to assess images. Page, commands, evaluation and training all score through it."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import torch
from PIL import Image

from model.assessment import Assessment, Failure
from model.backbones.nano import NanoModel, NanoProcessor
from model.errors import ImageError, ModelError
from model.images import open_image
from model.labels import intervals
from model.loading import load_nano
from model.readouts import Reading, read_levels, read_score_token
from model.registry import Spec, resolve

TASKS = ("quality",)
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
DECODERS = 2  # threads that decode pictures; each holds one full-size picture at a time


class Scorer:
    """Assesses images with one model. `scale` and `tokens` (worst first) are the readout's; `revision` is a hash of the weights."""

    def __init__(self, name: str, revision: str, model: NanoModel, processor: NanoProcessor):
        self.name, self.revision = name, revision
        self.model, self.processor = model.eval(), processor
        readout = model.config.readout
        self.readout: str = readout["kind"]
        self.tokens: tuple[str, ...] = tuple(readout["tokens"])
        self.scale: tuple[float, float] = tuple(readout["scale"])
        device = next(model.parameters()).device
        self._token_ids = torch.tensor(processor.tokenizer.convert_tokens_to_ids(list(self.tokens)), device=device)
        self._prompt = processor.prompt_ids().to(device)

    def assess(
        self, images: Sequence[Image.Image], names: Sequence[str] | None = None, batch_size: int = 8
    ) -> list[Assessment]:
        """Assess RGB pictures, in order. Each gets the score that it would get alone (to 1e-4 in float32)."""
        names = names or [f"image {n}" for n in range(1, len(images) + 1)]
        return self.assess_pixels([self.processor.pixels(image) for image in images], names, batch_size)

    def assess_files(self, paths: Iterable[str | Path], batch_size: int = 8) -> Iterator[Assessment | Failure]:
        """Assess picture files, lazily and in order; a file that cannot be read gives a Failure and the rest goes on."""
        paths = iter(paths)
        with ThreadPoolExecutor(DECODERS) as pool:
            while chunk := [str(path) for path in islice(paths, 4 * batch_size)]:
                pixels = list(pool.map(self._pixels_or_failure, chunk))
                good = [(p, name) for p, name in zip(pixels, chunk, strict=True) if not isinstance(p, Failure)]
                assessed = iter(self.assess_pixels([p for p, _ in good], [name for _, name in good], batch_size))
                for p in pixels:
                    yield p if isinstance(p, Failure) else next(assessed)

    def _pixels_or_failure(self, path: str) -> torch.Tensor | Failure:
        try:
            return self.processor.pixels(open_image(path))
        except ImageError as error:
            return Failure(path, str(error))

    @torch.inference_mode()
    def assess_pixels(self, pixels: Sequence[torch.Tensor], names: Sequence[str], batch_size: int) -> list[Assessment]:
        """Pictures of one shape go through the model together, at most `batch_size` at a time."""
        by_shape = defaultdict(list)
        for n, p in enumerate(pixels):
            by_shape[p.shape].append(n)
        results: dict[int, Assessment] = {}
        for members in by_shape.values():
            for start in range(0, len(members), batch_size):
                batch = members[start : start + batch_size]
                reading = self._read(torch.stack([pixels[n] for n in batch]))
                for row, n in enumerate(batch):
                    results[n] = self._assessment(names[n], reading, row)
        return [results[n] for n in range(len(pixels))]

    def _read(self, pixel_values: torch.Tensor) -> Reading:
        output = self.model(
            pixel_values.to(self._prompt.device, self.model.dtype), self._prompt.expand(len(pixel_values), -1)
        )
        hidden, logits = output.hidden[:, -1], output.logits[:, -1]
        if self.readout == "score_token":
            return read_score_token(hidden, logits, self._token_ids, self.scale, self.model.regressor)
        return read_levels(logits, self._token_ids, self.scale)

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
            interval=intervals(self.scale, len(self.tokens))[probabilities.index(max(probabilities))],
            model=self.name,
            revision=self.revision,
        )


def load_scorer(
    spec: str, device: str = "auto", dtype: str = "auto", adapters: Path | None = None, task: str = "quality"
) -> Scorer:
    """Load what SPEC names (see model/registry.py); adapters given by name are looked for in the folder `adapters`.

    device: auto (CUDA, else Apple's GPU, else CPU), cpu, cuda or mps. dtype: auto (float32), float32, bfloat16 or float16.
    Raises ModelError, in one sentence, for what is unknown, incomplete, does not fit, or is not on this machine.
    """
    if task not in TASKS:
        raise ModelError(f"{spec} cannot be asked for '{task}': it knows {', '.join(TASKS)}.")
    found = resolve(spec, adapters)
    where = choose_device(device)
    model, processor = load_nano(found)
    model.to(where, DTYPES.get(dtype, torch.float32))
    return Scorer(found.name, revision(found), model, processor)


def choose_device(device: str) -> torch.device:
    """The torch device that the word means on this machine. Raises ModelError when it is not there."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if there[name]))
    if not there[device]:
        raise ModelError(
            f"PyTorch finds no {device} device on this machine: use --device cpu, or install a build of torch for it."
        )
    return torch.device(device)


def revision(found: Spec) -> str:
    """Twelve hex digits of the SHA-256 over the files that decide the scores: weights, settings, and the adapter's."""
    digest = hashlib.sha256()
    for folder in (found.base, found.adapter):
        if folder:
            for name in ("config.json", "model.safetensors", "adapter_config.json", "adapter_model.safetensors"):
                if (folder / name).is_file():
                    digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:12]
