"""Shared by all commands: the options that choose a model, and how a command ends."""

import argparse
import io
import math
import os
import signal
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from model.common.devices import BITS, BYTES
from model.common.errors import ModelError
from model.common.progress import DOWNLOADING, Progress
from model.common.scale import Scale

JOINERS = "\u200c\u200d"  # within words of some scripts, and within emoji


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
    parser.add_argument("--dtype", choices=["auto", *BYTES, *BITS], default="auto", help=dtype_help)


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
    """Stores LOW and HIGH as a Scale, and rejects invalid ones."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        low, high = values
        if not -math.inf < low < high < math.inf:
            raise argparse.ArgumentError(self, f"LOW must be less than HIGH, both finite (given: {low:g} {high:g})")
        setattr(namespace, self.dest, Scale(low, high))


def add_scale_option(parser: argparse.ArgumentParser, help: str) -> None:
    parser.add_argument("--scale", type=float, nargs=2, action=ScaleAction, metavar=("LOW", "HIGH"), help=help)


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def progress_bars() -> Progress:
    """Progress bars on stderr for downloading and loading a model; none where stderr is not a terminal."""
    bars: dict[str, tqdm] = {}

    def update(stage: str, done: int, total: int) -> None:
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

    return update


def data_dir() -> Path:
    """The app's data folder where --data-dir is not given."""
    return Path(os.environ.get("QSCORER_DATA") or "data")


def run(program: Callable[[], int]) -> int:
    """Run a command, option parsing included, and return its exit status: 0, 1 (some images failed), or 2 (refused).

    A ModelError or an error of the file system becomes one sentence on stderr. Ctrl-C and a closed pipe print nothing. Characters that
    the stream's encoding lacks are printed as backslash escapes.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the parent process
            setattr(sys, name, open(os.devnull, "w"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    with unwound_by_signals():
        try:
            try:
                return program()
            finally:
                sys.stdout.flush()  # so that a full disk is reported, too
        except ModelError as error:
            return _refused(str(error))
        except KeyboardInterrupt:
            return 128 + signal.SIGINT
        except BrokenPipeError:
            _give_up_stdout()
            return 128 + 13  # SIGPIPE, which Windows does not define
        except OSError as error:
            if error.errno is None:  # raised by a library, not by the system
                raise
            _give_up_stdout()
            what = f"{error.filename} cannot be read or written" if error.filename else "the output cannot be written"
            return _refused(f"{what} ({error.strerror}): free some space or choose another place")


def _refused(sentence: str) -> int:
    print(f"error: {printable(sentence)}", file=sys.stderr)
    return 2


def _give_up_stdout() -> None:
    """Discard all further output: Python flushes stdout again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def printable(text: str) -> str:
    """Text that is safe to print on a terminal: control characters, such as escape sequences and line ends in a file name, are escaped."""
    return "".join(letter.encode("unicode_escape").decode() if _acts(letter) else letter for letter in text)


def _acts(letter: str) -> bool:
    # Cc: control characters; Cf: format characters, such as changes of writing direction; Zl, Zp: Unicode line ends.
    return unicodedata.category(letter) in ("Cc", "Cf", "Zl", "Zp") and letter not in JOINERS


@contextmanager
def unwound_by_signals() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP raise SystemExit, so that unfinished files are removed. Ignored signals (nohup) stay ignored."""
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in (getattr(signal, name) for name in names)}
    taken = [number for number, handler in before.items() if handler != signal.SIG_IGN]

    def unwind(number: int, frame: object) -> None:
        for other in taken:  # a second signal does not interrupt the clean-up
            signal.signal(other, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for number in taken:
        signal.signal(number, unwind)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number])
