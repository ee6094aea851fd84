"""Score images: `python -m model.score [--model SPEC] PATH...`

The table says the score and its scale, the token (or word) that the model finds likeliest and its probability among the tokens.

PATHs are files and folders; videos for --task video. With --format json stdout carries one JSON object a line and nothing
else; progress and messages go to stderr. A file that cannot be read gives its error, the rest are scored, and the exit
status is 1.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from model.assessment import Assessment, Failure
from model.commands import add_model_options, data_dir, printable, progress_bars, run
from model.csv_cells import row_writer
from model.image_formats import SUFFIXES as PICTURES
from model.image_search import NOTHING, find_images
from model.registry import QUALITY, check_spec


def print_json(results: Iterable[Assessment | Failure]) -> None:
    for result in results:
        print(json.dumps(result.to_dict()), flush=True)


def print_csv(results: Iterable[Assessment | Failure], task: str = QUALITY) -> None:
    write_csv(sys.stdout, results, None if task == QUALITY else repeat(task))


def write_csv(file: TextIO, results: Iterable[Assessment | Failure], tasks: Iterable[str] | None = None) -> None:
    """The JSON's keys as columns, and `error`; lists are written with spaces between. tasks: what each was asked for, a last column.

    Each row is flushed once its result is there, and its text guarded as model/csv_cells.py says."""
    columns = [field.name for field in fields(Assessment)] + ["error"] + (["task"] if tasks else [])
    write = row_writer(file, columns)
    for result, task in zip(results, tasks or repeat(None)):  # noqa: B905, repeat never ends
        row = result.to_dict() | ({"task": task} if task else {})
        cells = [row.get(column, "") for column in columns]
        write([" ".join(map(str, cell)) if isinstance(cell, tuple) else cell for cell in cells])


def print_table(results: Iterable[Assessment | Failure]) -> None:
    """Score, its scale, the likeliest token with its probability among the tokens, and the file."""
    print(f"{'score':<16}{'token':<11}{'prob.':<7}image")
    for result in results:
        if isinstance(result, Failure):
            print(f"{'—':>5}{'':<29}{printable(f'{result.image}: {result.error}')}", flush=True)
        else:
            low, high = result.scale
            token = result.tokens[result.probabilities.index(max(result.probabilities))]
            score = f"{result.score:5.2f} of {low:g}–{high:g}"
            print(f"{score:<16}{token:<11}{max(result.probabilities):<7.0%}{printable(result.image)}", flush=True)


PRINTERS = {"table": print_table, "json": print_json, "csv": print_csv}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m model.score", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="image files, and folders that are searched for them")
    add_model_options(parser)
    parser.add_argument(
        "--task", default="quality", help="what is asked: quality (default); one-align also knows aesthetics and video"
    )
    parser.add_argument(
        "--check-steps",
        action="store_true",
        help="take the published Q-Scorer's two greedy steps too, and name the images where its first word is another",
    )
    parser.add_argument("--format", choices=PRINTERS, default="table")
    return run(lambda: score(parser.parse_args(arguments)))


def find_files(given: Sequence[str], task: str) -> tuple[list[Path], list[tuple[Path, str]]]:
    """find_images of pictures or, for the task video, of videos; a folder that holds only the other kind says how that is scored."""
    from model.video import SUFFIXES as VIDEOS

    if task == "video":
        wanted, others, nothing = VIDEOS, PICTURES, "no videos in this folder"
        hint = "but pictures: leave --task video out to score them"
    else:
        wanted, others, nothing = PICTURES, VIDEOS, NOTHING
        hint = "but videos: add --task video, with a model that knows it, to score them"
    paths, problems = find_images(given, wanted)
    said = []
    for path, sentence in problems:
        if sentence == NOTHING:
            sentence = f"{nothing}, {hint}" if find_images([path], others)[0] else nothing
        said.append((path, sentence))
    return paths, said


def score(arguments: argparse.Namespace) -> int:
    check_spec(arguments.model, data_dir() / "adapters")
    paths, problems = find_files(arguments.paths, arguments.task)
    printer = partial(print_csv, task=arguments.task) if arguments.format == "csv" else PRINTERS[arguments.format]
    if not paths:
        printer(Failure(str(path), sentence) for path, sentence in problems)
        return 1
    from model.scorer import load_scorer  # torch, for which only scoring has to wait

    chosen = (arguments.model, arguments.device, arguments.dtype, data_dir() / "adapters", arguments.task)
    scorer = load_scorer(*chosen, progress=progress_bars())

    failed = 0

    def results() -> Iterator[Assessment | Failure]:
        nonlocal failed
        assessed = scorer.assess_files(paths, arguments.batch_size)
        progress = tqdm(assessed, total=len(paths), unit="image", file=sys.stderr, disable=None)
        for result in chain((Failure(str(path), sentence) for path, sentence in problems), progress):
            failed += isinstance(result, Failure)
            yield result

    printer(results())
    if arguments.check_steps:
        for path, word in scorer.check_steps(paths):
            print(
                f"check-steps: {printable(str(path))}: the model would have begun its answer with '{word}'",
                file=sys.stderr,
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
