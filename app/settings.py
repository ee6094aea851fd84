"""What the page is told when it starts: where it keeps things, where it listens, and what visitors may pick."""

import argparse
import os
import socket
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from model.backbones.promotion import in_use
from model.common.command_line import add_device_options, data_dir
from model.common.errors import ModelError
from model.loading.known import SHIPPED

ROOT = Path(__file__).parent.parent
ZERO_GPU = os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")  # a Space whose GPU comes with each call
EXAMPLES = ROOT / "tests" / "images"  # the images that the tests and the README's commands use too
ANYONE, SIGNED_IN, ORG = "anyone", "signed-in", "org:"  # who may rate
MAX_UPLOAD = "256mb"  # a file: as much as model/images/decoding.py reads, and a minute of video from a phone


@dataclass(frozen=True)
class Settings:
    """`data_dir` is as it was given (commands on the page repeat it). `public`: visitors may come from elsewhere; they may only use
    the `offered` models. `models`: those that the owner listed besides `model`. `hosts`: names under which a proxy serves the page.
    `sign_in`: visitors can sign in with Hugging Face. `raters`: ANYONE, SIGNED_IN, or ORG and an organisation's name. `owners`: the
    Hugging Face names of those who own a public page; `owner_token`: what makes a browser an owner's, where set."""

    data_dir: Path
    host: str
    port: int
    model: str
    device: str
    dtype: str
    public: bool
    models: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    root_path: str = ""
    space: bool = False
    sign_in: bool = False
    raters: str = ANYONE
    owners: tuple[str, ...] = ()
    owner_token: str = field(default="", repr=False)

    @property
    def adapters(self) -> Path:
        return self.data_dir / "adapters"

    @property
    def configured(self) -> list[str]:
        """The models that are loaded at start: the owner's list, or the one that visitors start with."""
        return list(dict.fromkeys([self.model, *self.models]))

    @property
    def for_all(self) -> str:
        """The model that visitors use who have chosen none: the promoted adapter, or `model`."""
        return in_use(self.adapters) or self.model

    @property
    def offered(self) -> list[str]:
        """What visitors from elsewhere may pick: the owner's list where there is one, else what ships too; and a promoted adapter."""
        listed = self.configured if self.models else [self.model, *SHIPPED]
        return list(dict.fromkeys([*listed, self.for_all]))

    def check_offered(self, spec: str) -> None:
        """Raises ModelError for a SPEC that visitors from elsewhere may not use, before anything is looked up for it."""
        if not self.public or spec in self.offered:
            return
        raise ModelError(
            f"{shortened(spec)} is not offered on this page: choose one of {', '.join(self.offered)}. "
            "Whoever runs the page can list more with --models."
        )


def shortened(text: str) -> str:
    """A given text, shortened to be quoted within a sentence."""
    return repr(text if len(text) <= 80 else f"{text[:80]}…")


def parse_settings(arguments: Sequence[str] | None = None) -> Settings:
    """Settings from the command line and, for what it leaves out, from the environment. Ends the program when they are invalid.

    A Space announces itself by SPACE_ID; there the page must listen on all addresses, elsewhere only this machine may reach it.
    """
    space = bool(os.environ.get("SPACE_ID"))
    given = _parser("0.0.0.0" if space else "127.0.0.1").parse_args(arguments)
    host = given.host.removeprefix("[").removesuffix("]")
    hosts = (*given.allow_host, *filter(None, [urlsplit(given.root_path).hostname, os.environ.get("SPACE_HOST")]))
    # On ZeroGPU the models that ship would spend a visitor's quota for nothing: they take their time on the CPU unless they are listed.
    device = "cpu" if ZERO_GPU and given.device == "auto" and not (given.model or given.models) else given.device
    return Settings(
        given.data_dir,
        host,
        given.port,
        given.model or next(iter(given.models), "nano"),
        device,
        given.dtype,
        public=space or bool(given.root_path or given.allow_host) or not only_this_machine(host),
        models=tuple(given.models),
        hosts=tuple(name.lower() for name in hosts),
        root_path=given.root_path,
        space=space,
        sign_in=space
        and bool(os.environ.get("OAUTH_CLIENT_ID")),  # a Space has it where its README says hf_oauth: true
        raters=environment("QSCORER_RATERS", raters, SIGNED_IN if space else ANYONE),
        owners=tuple(environment("QSCORER_OWNERS", listed, listed(os.environ.get("SPACE_AUTHOR_NAME", "")))),
        owner_token=environment("QSCORER_OWNER_TOKEN", long_enough, ""),
    )


def _parser(host: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python app.py", description="Open the page of Q-Scorer Studio: score, compare, rate, adapt."
    )
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=data_dir(),
        help="folder for ratings, rated images and adapters (default: $QSCORER_DATA, else data)",
    )
    host = os.environ.get("GRADIO_SERVER_NAME") or host
    parser.add_argument("--host", default=host, help=f"address to listen on (default: {host}); 0.0.0.0 lets others in")
    parser.add_argument(
        "--port",
        type=port,
        default=environment("GRADIO_SERVER_PORT", port, 7860),
        help="default: $GRADIO_SERVER_PORT, else 7860",
    )
    parser.add_argument("--model", metavar="SPEC", help="the model that every visitor starts with (default: nano)")
    parser.add_argument(
        "--models",
        type=listed,
        default=environment("QSCORER_MODELS", listed, []),
        metavar="SPEC,SPEC",
        help="models that are loaded at start, and all that visitors from other machines may pick; the first is what they start with, "
        "unless --model is given (default: $QSCORER_MODELS, else nano and nano-qalign)",
    )
    parser.add_argument(
        "--root-path",
        type=root_path,
        default=environment("GRADIO_ROOT_PATH", root_path, ""),
        metavar="PATH",
        help="where a reverse proxy serves the page: a path such as /studio, or the whole address (default: $GRADIO_ROOT_PATH)",
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="another host name under which the page is reached, say through a reverse proxy; may be repeated",
    )
    add_device_options(parser, "what models that do not ship here compute in (default: $QSCORER_DTYPE, else auto)")
    for option, name in (("--device", "QSCORER_DEVICE"), ("--dtype", "QSCORER_DTYPE")):
        words = next(action.choices for action in parser._actions if option in action.option_strings)
        parser.set_defaults(**{option[2:]: environment(name, one_of(words), "auto")})
    return parser


def environment(name: str, convert: Callable, otherwise: Any) -> Any:
    """The value of an environment variable. Ends the program with a sentence when it is invalid."""
    try:
        return convert(os.environ[name]) if os.environ.get(name) else otherwise
    except argparse.ArgumentTypeError as error:
        raise SystemExit(f"error: {name}: {error}.") from None


def only_this_machine(host: str) -> bool:
    """Whether nobody else can reach this address; False, too, for what is not an address."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return all(ip_address(address[0].partition("%")[0]).is_loopback for *_, address in found)


def port(text: str) -> int:
    """A TCP port; argparse says what is wrong with another text."""
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"'{text}' is not a port (1 to 65535)")
    return int(text)


def root_path(text: str) -> str:
    """Path or address without the slash at its end."""
    if text and not text.startswith(("/", "http://", "https://")):
        raise argparse.ArgumentTypeError(f"'{text}' is neither a path such as /studio nor an address (https://…)")
    return text.rstrip("/")


def raters(text: str) -> str:
    """Who may rate."""
    if text not in (ANYONE, SIGNED_IN) and not (text.startswith(ORG) and text.removeprefix(ORG).strip()):
        raise argparse.ArgumentTypeError(f"'{text}' is none of {ANYONE}, {SIGNED_IN} and {ORG}NAME")
    return text


def long_enough(text: str) -> str:
    """A secret that cannot be guessed by trying."""
    if len(text) < 16:
        raise argparse.ArgumentTypeError(
            "the owner's token is shorter than 16 characters; make one with: python -c 'import secrets; print(secrets.token_urlsafe())'"
        )
    return text


def one_of(words: Collection[str]) -> Callable[[str], str]:
    """Takes one of these words; argparse does not look at an option's default."""

    def word(text: str) -> str:
        if text not in words:
            raise argparse.ArgumentTypeError(f"{shortened(text)} is not one of {', '.join(words)}")
        return text

    return word


def listed(text: str) -> list[str]:
    """The SPECs of a list with commas between."""
    return [spec for part in text.split(",") if (spec := part.strip())]
