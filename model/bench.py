"""How fast a model is on this machine: `python -m model.bench [--model nano]`

Prints one JSON object: milliseconds from file to score for one picture and its stages (median of repeats), and pictures a second from
files in batches. The pictures are made on the spot: JPEG photographs' sizes, 512 x 512 and 12 megapixels.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from model.commands import add_model_options, data_dir, run
from model.images import open_image

SIZES = {"512x512": (512, 512), "12 megapixels": (4000, 3000)}
REPEATS = 15


def write_pictures(folder: Path, size: tuple[int, int], count: int) -> list[Path]:
    """Smooth colours with grain, as JPEG: about as many bytes as a photograph of that size."""
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


def median_ms(work: Callable[[], object]) -> float:
    """The median of REPEATS runs after two that warm up, in milliseconds."""
    seconds = []
    for _ in range(REPEATS + 2):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return round(1000 * statistics.median(seconds[2:]), 1)


def one_picture(scorer, path: Path) -> dict[str, float]:
    """Milliseconds of each stage from file to score, and of the whole."""
    image = open_image(path)
    prepared = scorer.backbone.prepare(image)
    return {
        "decode_ms": median_ms(lambda: open_image(path)),
        "preprocess_ms": median_ms(lambda: scorer.backbone.prepare(image)),
        "model_ms": median_ms(lambda: scorer.assess_prepared([prepared], ["picture"], 1)),
        "file_to_score_ms": median_ms(lambda: scorer.assess([open_image(path)])),
    }


def pictures_per_second(scorer, paths: list[Path], batch_size: int) -> float:
    """The best of three passes over the files, decoding included."""
    seconds = []
    for _ in tqdm(range(3), desc="batches", file=sys.stderr, disable=None):
        start = time.perf_counter()
        list(scorer.assess_files(paths, batch_size))
        seconds.append(time.perf_counter() - start)
    return round(len(paths) / min(seconds), 1)


def bench(arguments: argparse.Namespace) -> int:
    import torch

    from model.scorer import load_scorer

    start = time.perf_counter()
    scorer = load_scorer(arguments.model, arguments.device, arguments.dtype, data_dir() / "adapters")
    report = {
        "model": scorer.name,
        "revision": scorer.revision,
        "device": str(scorer.backbone.device),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "parameters": sum(p.numel() for p in scorer.backbone.model.parameters()),
        "load_ms": round(1000 * (time.perf_counter() - start)),
        "one_picture": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, size in SIZES.items():
            report["one_picture"][name] = one_picture(scorer, write_pictures(Path(folder), size, 1)[0])
        many = write_pictures(Path(folder), SIZES["512x512"], 128)
        report["batch_size"] = arguments.batch_size
        report["pictures_per_second"] = pictures_per_second(scorer, many, arguments.batch_size)
    print(json.dumps(report, indent=1))
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m model.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_model_options(parser)
    arguments = parser.parse_args()
    return run(lambda: bench(arguments))


if __name__ == "__main__":
    sys.exit(main())
