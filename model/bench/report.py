"""The report of `python -m model.bench`: the stages of one image, batches against the upstream baseline, and images from files.

The images are generated, in the sizes of photographs: 512 x 512 and 12 megapixels, as JPEG.
"""

import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from model.bench.engines import against_torch
from model.bench.measures import PeakMemory, StageClock, count_flops, matrix_product, median_ms, seconds, timed
from model.bench.plain import forwards, read_as_upstream
from model.images.decoding import open_image
from model.scoring.scorer import Scorer

SIZES = {"512x512": (512, 512), "12 megapixels": (4000, 3000)}
FILE_SECONDS, MOST_FILES = 4.0, 128  # target duration of one pass over files, and its maximum number of files


def report(scorer: Scorer, batch_sizes: Sequence[int]) -> dict:
    """The JSON object; progress goes to stderr. All of it is torch's, but for `engine`, where the scorer has one beside torch."""
    found = machine(scorer)
    # torch's counter of operations would include the backward pass.
    scorer.backbone.model.requires_grad_(False)
    with tempfile.TemporaryDirectory() as name:
        with scorer.backbone.on_torch():
            prepared = by_torch(scorer, batch_sizes, Path(name), found)
        if scorer.backbone.engine != "torch":
            paths = write_images(Path(name), SIZES["512x512"], found["files"]["files"])
            found["engine"] = against_torch(scorer, prepared, batch_sizes, paths)
    return found


def by_torch(scorer: Scorer, batch_sizes: Sequence[int], folder: Path, found: dict) -> list:
    """Add to `found` what torch does; returns the images that it was measured with, prepared."""
    found["one_image"] = {
        size: one_image(scorer, write_images(folder, SIZES[size], 1)[0]) for size in progress(SIZES, "one image")
    }
    images = [open_image(path) for path in write_images(folder, SIZES["512x512"], max(batch_sizes))]
    prepared = [scorer.backbone.prepare(image) for image in images]
    found |= operations(scorer, prepared[:1])
    found["batches"] = [batch(scorer, prepared[:size], found) for size in progress(batch_sizes, "batch sizes")]
    fastest = max(found["batches"], key=lambda row: row["images_per_second"])
    found["files"] = from_files(scorer, folder, fastest["batch_size"], fastest["images_per_second"])
    return prepared


def progress(steps, words: str):
    return tqdm(steps, desc=words, file=sys.stderr, disable=None)


def machine(scorer: Scorer) -> dict:
    """The model and the machine."""
    device = scorer.backbone.device
    return {
        "model": scorer.name,
        "revision": scorer.revision,
        "parameters": sum(p.numel() for p in scorer.backbone.model.parameters()),
        "dtype": str(scorer.backbone.dtype).removeprefix("torch."),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def processor() -> str:
    """The processor's name, on Linux from /proc/cpuinfo."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.is_file() else []
    name = platform.processor() or platform.machine()
    return next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), name)


def write_images(folder: Path, size: tuple[int, int], count: int) -> list[Path]:
    """Smooth colours with noise, as JPEG files of about a photograph's size."""
    random = np.random.default_rng(0)
    paths = []
    for n in range(count):
        colours = Image.fromarray(random.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize(
            size, Image.Resampling.BICUBIC
        )
        grain = random.integers(-12, 13, (size[1], size[0], 1), dtype=np.int16)
        paths.append(folder / f"{size[0]}_{n}.jpg")
        Image.fromarray(np.clip(np.asarray(colours) + grain, 0, 255).astype(np.uint8)).save(paths[-1], quality=90)
    return paths


def one_image(scorer: Scorer, path: Path) -> dict[str, float]:
    """Milliseconds of each stage from file to score, and in total."""
    image = open_image(path)
    prepared = scorer.backbone.prepare(image)
    return {
        "decode_ms": median_ms(lambda: open_image(path)),
        "preprocess_ms": median_ms(lambda: scorer.backbone.prepare(image)),
        **stages(scorer, [prepared]),
        "file_to_score_ms": median_ms(lambda: scorer.assess([open_image(path)])),
    }


def stages(scorer: Scorer, batch: Sequence) -> dict[str, float]:
    clock = StageClock(scorer.backbone.model.get_decoder(), scorer.backbone.device)
    return clock.stages(lambda: scores(scorer, batch))


def scores(scorer: Scorer, batch: Sequence) -> list[float]:
    """Scores by the single forward pass, including the whole assessment."""
    assessed = scorer.assess_prepared(batch, [""] * len(batch), len(batch))
    return [assessment.score for assessment in assessed]


def plain_scores(scorer: Scorer, batch: Sequence) -> list[float]:
    return read_as_upstream(scorer.backbone, batch).score.tolist()


def operations(scorer: Scorer, one: Sequence) -> dict[str, float]:
    """GFLOP per image of 512 x 512, by the single forward pass and by the upstream baseline."""
    return {
        "gflop_per_image": round(count_flops(lambda: scores(scorer, one)) / 1e9, 3),
        "plain_gflop_per_image": round(count_flops(lambda: plain_scores(scorer, one)) / 1e9, 3),
    }


def batch(scorer: Scorer, prepared: Sequence, known: dict) -> dict:
    """Single forward pass, upstream baseline and matrix product, interleaved so that their ratios are valid on a busy machine.

    speedup: the median of the repeats' ratios; speedup_range: their minimum and maximum.
    """
    backbone, size = scorer.backbone, len(prepared)
    peak = PeakMemory(backbone.device)
    here = scores(scorer, prepared)
    peak_mb = peak.mb()
    difference = max(abs(a - b) for a, b in zip(here, plain_scores(scorer, prepared), strict=True))
    product, product_flops = matrix_product(backbone.device, backbone.dtype)
    single, plain, products = timed(
        lambda: scores(scorer, prepared), lambda: plain_scores(scorer, prepared), product, least=5
    )
    ratios = sorted(b / a for a, b in zip(single, plain, strict=True))
    rate, ceiling = size / statistics.median(single), product_flops / statistics.median(products) / 1e9
    return {
        "batch_size": size,
        "repeats": len(single),
        "images_per_second": round(rate, 3),
        **stages(scorer, prepared),
        "peak_memory_mb": peak_mb,
        "matmul_gflops": round(ceiling, 1),
        "matmul_share": round(rate * known["gflop_per_image"] / ceiling, 3),
        "plain_forwards": forwards(backbone),
        "plain_images_per_second": round(size / statistics.median(plain), 3),
        "speedup": round(statistics.median(ratios), 3),
        "speedup_range": [round(ratios[0], 3), round(ratios[-1], 3)],
        "largest_score_difference": difference,
    }


def from_files(scorer: Scorer, folder: Path, batch_size: int, rate: float) -> dict:
    """Images per second from files of 512 x 512, including decoding: the median of three passes."""
    count = min(MOST_FILES, max(batch_size, round(rate * FILE_SECONDS)))
    paths = write_images(folder, SIZES["512x512"], count)
    passes = [seconds(lambda: list(scorer.assess_files(paths, batch_size))) for _ in progress(range(3), "files")]
    return {
        "files": count,
        "batch_size": batch_size,
        "images_per_second": round(count / statistics.median(passes), 3),
    }
