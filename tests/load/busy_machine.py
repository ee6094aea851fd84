"""How fast nano scores beside other programs, by how torch's threads wait for each other.

    python tests/load/busy_machine.py [--rounds 8]

Prints a table: the median of milliseconds from pixels to score of one image of 512 x 512, on the machine as it is, with one core taken
by a process that computes without end, and with all taken. All policies are measured in turn within each round, so that what else
the machine does disturbs all alike. "as shipped" is what model/common/threads.py sets. The last columns are for two images at once, in
two threads: images a second.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from model.common.threads import COUNTS, WAITING, usable_cores  # noqa: E402

POLICIES = {
    "as shipped": {},
    "as shipped, torch alone": {"ONLY_TORCH": "1"},
    "torch's default": {"GOMP_SPINCOUNT": "300000"},  # what GCC's OpenMP does where nothing is set
    "10,000 spins": {"GOMP_SPINCOUNT": "10000"},
    "3,000 spins": {"GOMP_SPINCOUNT": "3000"},
    "1,000 spins": {"GOMP_SPINCOUNT": "1000"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
IMAGES = 4  # of each policy in each round


def serve() -> None:
    """The child: for each line of stdin, how many threads score at once; answers with seconds of each image and of all."""
    from PIL import Image

    from model.scoring.scorer import load_scorer

    scorer = load_scorer("nano", device="cpu")
    prepared = scorer.backbone.prepare(Image.effect_noise((512, 512), 50).convert("RGB"))

    def work(times: list[float]) -> None:
        with scorer.backbone.on_torch() if "ONLY_TORCH" in os.environ else nullcontext():
            for _ in range(IMAGES):
                start = time.perf_counter()
                scorer.assess_prepared([prepared], [""], 1)
                times.append(time.perf_counter() - start)

    work([])
    print("ready", flush=True)
    for line in sys.stdin:
        times: list[float] = []
        start = time.perf_counter()
        threads = [threading.Thread(target=work, args=(times,)) for _ in range(int(line))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(json.dumps({"times": times, "whole": time.perf_counter() - start}), flush=True)


@contextmanager
def scorers() -> Iterator[dict[str, subprocess.Popen]]:
    """A child of each policy, ready."""
    plain = {name: value for name, value in os.environ.items() if name not in WAITING + COUNTS}
    command = [sys.executable, __file__, "--serve"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    children = {name: subprocess.Popen(command, env=plain | policy, **pipes) for name, policy in POLICIES.items()}
    try:
        for child in children.values():
            child.stdout.readline()
        yield children
    finally:
        for child in children.values():
            child.kill()
            child.wait()


@contextmanager
def taken(cores: int) -> Iterator[None]:
    """So many processes that compute without end."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def ask(child: subprocess.Popen, at_once: int) -> dict:
    child.stdin.write(f"{at_once}\n")
    child.stdin.flush()
    return json.loads(child.stdout.readline())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        return serve()
    loads = {"idle": 0, "one core taken": 1, "all cores taken": usable_cores()}
    rows: dict[str, list[str]] = {name: [] for name in POLICIES}
    rates: dict[str, list[str]] = {name: [] for name in POLICIES}
    with scorers() as children:
        for cores in loads.values():
            with taken(cores):
                rounds = [
                    {name: (ask(child, 1), ask(child, 2)) for name, child in children.items()}
                    for _ in range(arguments.rounds)
                ]
            for name in POLICIES:
                times = [1000 * value for answers in rounds for value in answers[name][0]["times"]]
                rows[name].append(f"{statistics.median(times):.0f} (worst {max(times):.0f})")
                one, two = (
                    statistics.median([len(a[name][n]["times"]) / a[name][n]["whole"] for a in rounds]) for n in (0, 1)
                )
                rates[name].append(f"{one:.1f}, {two:.1f}")
    heads = [*loads, *(f"{load}: one, two at once" for load in loads)]
    print(f"| waiting | {' | '.join(heads)} |\n|---{'|---' * len(heads)}|")
    for name in POLICIES:
        print(f"| {name} | " + " | ".join([*rows[name], *rates[name]]) + " |")


if __name__ == "__main__":
    main()
