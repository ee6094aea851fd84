"""A scorer's engine against torch: the same scores, in turn, so that what else the machine does disturbs both alike."""

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from model.bench.measures import milliseconds, timed
from model.images.decoding import open_image
from model.scoring.assessment import Assessment
from model.scoring.scorer import Scorer


def against_torch(scorer: Scorer, prepared: Sequence, batch_sizes: Sequence[int], paths: Sequence[Path]) -> dict:
    """Latency of one file, images a second of batches, and files a second. speedup: torch's time divided by the engine's in each repeat,
    the median of these; speedup_range: the smallest and the largest."""
    batches = []
    for size in batch_sizes:
        names = [""] * size

        def batch(size: int = size, names: list[str] = names) -> list[Assessment]:
            return scorer.assess_prepared(prepared[:size], names, size)

        own, torch_times = both(scorer, batch)
        with scorer.backbone.on_torch():
            expected = batch()
        batches.append(
            {
                "batch_size": size,
                **rates(size, own, torch_times),
                "largest_score_difference": max(abs(a.score - b.score) for a, b in zip(batch(), expected, strict=True)),
            }
        )
    one, torch_one = both(scorer, lambda: scorer.assess([open_image(paths[0])]))
    largest = max(batch_sizes)
    files, torch_files = both(scorer, lambda: list(scorer.assess_files(paths, largest)))
    return {
        "name": scorer.backbone.engine,
        "file_to_score_ms": milliseconds(one),
        "torch_file_to_score_ms": milliseconds(torch_one),
        **speedup(one, torch_one),
        "batches": batches,
        "files": {"files": len(paths), "batch_size": largest, **rates(len(paths), files, torch_files)},
    }


def both(scorer: Scorer, work: Callable[[], object]) -> list[list[float]]:
    """Seconds that `work` takes by the engine and by torch, in turn."""

    def by_torch() -> None:
        with scorer.backbone.on_torch():
            work()

    return timed(work, by_torch)


def rates(count: int, own: Sequence[float], torch_times: Sequence[float]) -> dict:
    return {
        "images_per_second": round(count / statistics.median(own), 3),
        "torch_images_per_second": round(count / statistics.median(torch_times), 3),
        **speedup(own, torch_times),
    }


def speedup(own: Sequence[float], torch_times: Sequence[float]) -> dict:
    ratios = sorted(theirs / mine for mine, theirs in zip(own, torch_times, strict=True))
    return {
        "speedup": round(statistics.median(ratios), 3),
        "speedup_range": [round(ratios[0], 3), round(ratios[-1], 3)],
    }
