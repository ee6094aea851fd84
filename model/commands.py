"""What the commands have in common: the options that choose a model, and how an error ends a program."""

import argparse
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from model.errors import ModelError
from model.progress import DOWNLOADING, Progress


DTYPES = ("float32", "bfloat16", "float16", "8bit", "4bit")


def add_model_options(parser: argparse.ArgumentParser) -> None:
    add_spec_option(parser)
    add_device_options(parser)
    add_batch_size_option(parser, 8)


def add_spec_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        default="nano",
        metavar="SPEC",
        help="a name (python -m model.registry lists them), a folder or a hub id, or one of these +ADAPTER (default: nano)",
    )


def add_device_options(parser: argparse.ArgumentParser, dtype_help: str | None = None) -> None:
    """--device and --dtype."""
    add_device_option(parser)
    parser.add_argument("--dtype", choices=["auto", *DTYPES], default="auto", help=dtype_help)


def add_device_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=["auto", "cpu", "cuda", "mps"], default="auto")


def add_batch_size_option(parser: argparse.ArgumentParser, default: int) -> None:
    parser.add_argument(
        "--batch-size",
        type=positive,
        default=default,
        metavar="N",
        help="images that go through the model together (default: %(default)s)",
    )


class ScaleAction(argparse.Action):
    """Takes LOW and HIGH for a tuple, and refuses what is no scale."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        low, high = values
        if not -math.inf < low < high < math.inf:
            raise argparse.ArgumentError(self, f"LOW must be below HIGH, and they are {low:g} and {high:g}")
        setattr(namespace, self.dest, (low, high))


def add_scale_option(parser: argparse.ArgumentParser, help: str) -> None:
    parser.add_argument("--scale", type=float, nargs=2, action=ScaleAction, metavar=("LOW", "HIGH"), help=help)


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def progress_bars() -> Progress:
    """Shows on stderr how far a model's download and its loading are; nothing where that is no terminal."""
    bars: dict[str, tqdm] = {}

    def told(stage: str, done: int, total: int) -> None:
        if stage not in bars:
            unit = (
                {"unit": "B", "unit_scale": True}
                if stage == DOWNLOADING
                else {"bar_format": "{desc}: {percentage:3.0f}%|{bar}|"}
            )
            bars[stage] = tqdm(desc=stage, total=total, file=sys.stderr, disable=None, **unit)
        bars[stage].update(done - bars[stage].n)
        if done >= total:
            bars.pop(stage).close()

    return told


def data_dir() -> Path:
    """The folder that a running app keeps everything in, where no --data-dir says otherwise."""
    return Path(os.environ.get("QSCORER_DATA", "data"))


def run(program: Callable[[], int]) -> int:
    """Run a command; a ModelError becomes one sentence on stderr and exit status 2. Ctrl-C is quiet, and so is a closed pipe."""
    try:
        return program()
    except ModelError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes stdout again at exit
        return 141
