"""What the page finds around it when it starts, put right before Gradio is imported: streams, limits and environment variables."""

import inspect
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

OPEN_FILES = 4096  # each visitor holds a connection or two; many systems allow 256 or 1024 unless asked for more


def prepare() -> None:
    """Call it before anything imports Gradio, and after the settings are parsed."""
    _open_streams()
    _allow_open_files()
    # Gradio would let these change where and how the page is served (a public tunnel, say), some of them at import and with a trace
    # when they are invalid. The page has options for what may be chosen; GRADIO_TEMP_DIR is read after this.
    for name in [name for name in os.environ if name.startswith("GRADIO_") and name != "GRADIO_TEMP_DIR"]:
        del os.environ[name]
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["MPLBACKEND"] = (
        "agg"  # Gradio imports Matplotlib where it is installed, which ends on an unknown backend
    )
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


@contextmanager
def importing_gradio() -> Iterator[None]:
    """While Gradio is imported: it makes HTTP clients then, which the page never uses, and a proxy or a certificate file that the
    environment names and that cannot be used would end it. Downloads of models find these settings again. It also writes type stubs of
    its components next to their source, which would be half of the time that the import takes; not for those without a source file."""
    hidden = {
        name: value
        for name, value in os.environ.items()
        if name.lower().endswith("_proxy") or name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")
    }
    for name in hidden:
        del os.environ[name]
    getfile = inspect.getfile

    def without_components(of: object) -> str:
        if isinstance(of, type) and of.__module__.startswith("gradio."):
            raise FileNotFoundError
        return getfile(of)

    inspect.getfile = without_components
    try:
        yield
    finally:
        inspect.getfile = getfile
        os.environ.update(hidden)


def say(text: str) -> None:
    """A line for whoever started the page. It goes on without where the line cannot be written: a full disk, a pipe that nobody reads."""
    try:
        print(text, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what was not written would be tried again, and fail, at exit


def as_sentence(error: Exception) -> str:
    """An error of a library or the system on one line, with the environment variables whose value it names."""
    said = " ".join(str(error).split()) or type(error).__name__
    named = sorted(name for name, value in os.environ.items() if value and repr(value) in said)
    return said + (f" (the value of {', '.join(named)})" if named else "")


def _open_streams() -> None:
    """Standard streams that were closed lead nowhere, and what they cannot spell is written as an escape."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:  # else the next file that is opened, the database perhaps, would be taken for the stream
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")


def _allow_open_files() -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
