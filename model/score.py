"""Score images: `python -m model.score [--model SPEC] PATH...`

The table shows the score and its scale, and the most probable token (or word) with its probability among the tokens. --percentile adds,
for the models that ship, the share of reference photographs with a lower score (in %), and the range around the score that held 90 % of
their MOS.

PATHs are files and folders; videos for --task video. With --format json, stdout has one JSON object per line and nothing else; progress
and messages go to stderr. For a file that cannot be read its error is printed, the others are scored, and the exit status is 1.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from tqdm import tqdm

from model.common.command_line import add_model_options, data_dir, printable, progress_bars, run
from model.evaluation.percentiles import reference, standing
from model.images.formats import SUFFIXES as IMAGES
from model.images.search import NOTHING, find_images
from model.loading.known import check_spec
from model.scoring.assessment import Assessment, Failure
from model.scoring.output import NO_MORE, More, print_csv, print_json, print_table
from model.scoring.selection import Top, select

PRINTERS = {"table": print_table, "json": print_json, "csv": print_csv}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m model.score", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="image files, and folders that are searched for them")
    add_model_options(parser)
    parser.add_argument("--task", default="quality", help="quality (default); one-align also has aesthetics and video")
    parser.add_argument(
        "--check-steps",
        action="store_true",
        help="also run the published Q-Scorer's two greedy steps, and list the images for which its first step outputs another word",
    )
    parser.add_argument("--percentile", action="store_true", help="also print where the score stands, and its range")
    parser.add_argument("--sort", action="store_true", help="list the best image first")
    parser.add_argument("--top", type=top, metavar="N|N%", help="list only the best N images, or the best N %% of all")
    parser.add_argument("--min", type=float, metavar="SCORE", help="list only images with at least this score")
    parser.add_argument("--format", choices=PRINTERS, default="table")
    return run(lambda: score(parser.parse_args(arguments)))


def top(text: str) -> Top:
    """--top; argparse says what is wrong with another text."""
    try:
        return Top.parse(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number of images nor a share such as 10%") from None


def find_files(given: Sequence[str], task: str) -> tuple[list[Path], list[tuple[Path, str]]]:
    """find_images for images or, for the task video, for videos; the message for a folder with only the other kind says how to score it."""
    from model.images.video import SUFFIXES as VIDEOS

    if task == "video":
        wanted, others, nothing = VIDEOS, IMAGES, "no videos in this folder"
        hint = "but images: omit --task video to score them"
    else:
        wanted, others, nothing = IMAGES, VIDEOS, NOTHING
        hint = "but videos: add --task video, with a model that supports it, to score them"
    paths, problems = find_images(given, wanted)
    for n, (path, sentence) in enumerate(problems):
        if sentence == NOTHING:
            problems[n] = (path, f"{nothing}, {hint}" if find_images([path], others)[0] else nothing)
    return paths, problems


def of_references(model: str) -> More:
    """What --percentile prints. Raises ModelError for a model whose scores of the reference photographs are not known."""
    reference(model)
    return More(("percentile", "range"), standing)


def score(arguments: argparse.Namespace) -> int:
    check_spec(arguments.model, data_dir() / "adapters")
    paths, problems = find_files(arguments.paths, arguments.task)
    more = of_references(arguments.model) if arguments.percentile else NO_MORE
    printer = partial(PRINTERS[arguments.format], more=more)
    if arguments.format == "csv":
        printer = partial(printer, task=arguments.task)
    if not paths:
        printer(Failure(str(path), sentence) for path, sentence in problems)
        return 1
    from model.scoring.scorer import load_scorer

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

    printer(select(results(), arguments.min, arguments.top, arguments.sort))
    if arguments.check_steps:
        for path, word in scorer.check_steps(paths):
            print(
                f"check-steps: {printable(str(path))}: the model's first step outputs '{word}'",
                file=sys.stderr,
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
