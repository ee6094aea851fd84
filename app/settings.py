"""What the page is told when it starts: where it keeps things and where it listens."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model.commands import add_device_options, data_dir

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "tests" / "images"  # the pictures that the tests and the README's commands use too
MAX_UPLOAD = "256mb"  # a file: as much as model/images.py reads, and a minute of video from a phone


@dataclass(frozen=True)
class Settings:
    """`data_dir` is as it was given (commands on the page repeat it), `public` is true on a Hugging Face Space."""

    data_dir: Path
    host: str
    port: int
    model: str
    device: str
    dtype: str
    public: bool

    @property
    def adapters(self) -> Path:
        return self.data_dir / "adapters"


def parse_settings(arguments: Sequence[str] | None = None) -> Settings:
    """Settings from the command line and, for what it leaves out, from the environment.

    A Space announces itself by SPACE_ID; there the page must listen on all addresses, elsewhere only this machine may reach it.
    """
    public = bool(os.environ.get("SPACE_ID"))
    parser = argparse.ArgumentParser(
        prog="python app.py", description="Open the page of Q-Scorer Studio: score, compare, rate, adapt."
    )
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=data_dir(),
        help="folder for ratings, rated images and adapters (default: $QSCORER_DATA, else data)",
    )
    host = os.environ.get("GRADIO_SERVER_NAME") or ("0.0.0.0" if public else "127.0.0.1")
    parser.add_argument("--host", default=host, help=f"address to listen on (default: {host}); 0.0.0.0 lets others in")
    parser.add_argument("--port", type=port, default=os.environ.get("GRADIO_SERVER_PORT", "7860"), help="default: 7860")
    parser.add_argument(
        "--model", default="nano", metavar="SPEC", help="the model that every visitor starts with (default: nano)"
    )
    add_device_options(parser, "what models that do not ship here compute in (default: auto)")
    given = parser.parse_args(arguments)
    return Settings(given.data_dir, given.host, given.port, given.model, given.device, given.dtype, public)


def port(text: str) -> int:
    """A TCP port; argparse says what is wrong with another text."""
    if not (text.isdecimal() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"'{text}' is none of the ports 1 to 65535")
    return int(text)
