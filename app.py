"""Opens the page: `python app.py`, and the file that a Hugging Face Space runs."""

import os
import signal
import sys
import threading

from app.environment import as_sentence, importing_gradio, prepare
from app.settings import parse_settings
from app.temporary_files import temporary_folder


def main() -> int:
    """Serve the page until Ctrl-C or SIGTERM, which end it alike. What the surroundings do not allow is one sentence."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        settings = parse_settings()
        prepare()
        with temporary_folder():
            with importing_gradio():
                from app.serving import serve  # imports Gradio, which reads its environment then

            serve(settings)
    except KeyboardInterrupt:
        return 0
    except (
        OSError,
        ValueError,
        ImportError,
    ) as error:  # of a library that reads the environment, or of a system that is short
        raise SystemExit(f"error: the page cannot be opened: {as_sentence(error)}") from error
    return 0


if __name__ == "__main__":
    status = main()
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        sys.stdout.flush()
        os._exit(status)  # a model that is still at work, or a download, would keep the process for as long as it takes
    sys.exit(status)
