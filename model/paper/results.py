"""Results of the reproduction's runs: each run's own JSON file while it trains, and all of them in one small file for the repository.

A result is what model/paper/runs.py:perform makes. The file of all is gzipped JSON lines: first the settings and the MOS of each test set,
then a line a run, with its scores in thousandths.
"""

import gzip
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from model.common.errors import DataError
from model.common.json_files import read_json, write_json
from model.paper.plan import Run
from model.paper.systems import SYSTEMS

RUN = ("system", "setup", "epochs", "seed")
OF_RUN = (*RUN, "losses", "seconds")
STEPS = 1000  # of a score, in a unit of the scale


def run_of(result: Mapping) -> Run:
    return Run(*(result[name] for name in RUN))


def result_file(folder: Path, run: Run) -> Path:
    return folder / f"{run.name}.json"


def keep(folder: Path, result: Mapping) -> None:
    """Write a result whole or not at all, so that an interrupted run leaves none."""
    folder.mkdir(parents=True, exist_ok=True)
    path = result_file(folder, run_of(result))
    write_json(path.with_suffix(".part"), dict(result))
    path.with_suffix(".part").rename(path)


def read_folder(folder: Path) -> list[dict]:
    """The results in a folder, by name."""
    return [read_json(path) for path in sorted(folder.glob("*.json"))]


def current(results: Iterable[Mapping]) -> dict[Run, Mapping]:
    """Results by their run; of a run the last. Left out is what was taught by other losses than its system has today."""
    losses = {name: system.losses for name, system in SYSTEMS.items()}
    return {run_of(one): one for one in results if one["losses"] == losses.get(one["system"])}


def packed(results: Iterable[Mapping]) -> bytes:
    """Results as one file. Raises DataError where they do not compare: of different settings, or of different images under one name."""
    head: dict = {"settings": None, "mos": {}}
    lines = []
    for one in results:
        if (head["settings"] or one["settings"]) != one["settings"]:
            raise DataError("these results are of different settings, which do not compare: delete the older ones.")
        head["settings"] = one["settings"]
        mos = head["mos"].setdefault(one["setup"], {})
        for name, test in one["tests"].items():
            if mos.setdefault(name, test["mos"]) != test["mos"]:
                raise DataError(f"results on {name} are of different images: run them again with one copy of BIQ2021.")
        scores = {name: [round(STEPS * score) for score in test["scores"]] for name, test in one["tests"].items()}
        lines.append({key: one[key] for key in OF_RUN} | {"scores": scores})
    text = "\n".join(map(json.dumps, (head, *lines)))
    return gzip.compress(text.encode(), mtime=0)


def read_packed(path: Path) -> list[dict]:
    """The results in a file; none where it is not there."""
    return unpacked(path.read_bytes()) if path.exists() else []


def unpacked(file: bytes) -> list[dict]:
    """The results that `packed` made a file of."""
    head, *lines = map(json.loads, gzip.decompress(file).decode().splitlines())
    results = []
    for line in lines:
        mos = head["mos"][line["setup"]]
        scores = {name: [step / STEPS for step in steps] for name, steps in line["scores"].items()}
        tests = {name: {"mos": mos[name], "scores": scores[name]} for name in scores}
        results.append({key: line[key] for key in OF_RUN} | {"settings": head["settings"], "tests": tests})
    return results
