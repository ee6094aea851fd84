"""ZeroGPU on this machine: the service that lends GPUs, and a GPU played by the CPU. The package `spaces` is the real one."""

import json
import mmap
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Platform:
    """Lends GPUs as ZeroGPU's service does. `calls`: paths and parameters of what it was asked; `left`: seconds of a visitor's quota, or
    None."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.left: int | None = None
        self.ends_calls = False
        self.url = ""

    def asked(self, path: str) -> list[dict[str, str]]:
        return [parameters for called, parameters in self.calls if called == path]

    def answer(self, path: str, parameters: dict[str, str]) -> tuple[int, object]:
        self.calls.append((path, parameters))
        if path == "/schedule":
            if self.left is not None and int(parameters["durationSeconds"]) > self.left:
                return 429, {"left": self.left, "wait": 3600}
            return 200, {"idle": not self.ends_calls, "nvidiaIndex": 0, "nvidiaUUID": "GPU-0", "allowToken": "token"}
        if path == "/allow" and self.ends_calls:
            os.kill(int(parameters["pid"]), signal.SIGKILL)  # what the service does to a call that is over its duration
        return 200, None


@contextmanager
def platform() -> Iterator[Platform]:
    lends = Platform()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = urlsplit(self.path)
            status, answer = lends.answer(asked.path, {name: v[0] for name, v in parse_qs(asked.query).items()})
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        lends.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield lends
        server.shutdown()


def play_gpu() -> None:
    """Let `spaces` patch a torch without CUDA, and let its forked process take the CPU for the GPU. Call it before `spaces` is imported,
    in a process of its own."""
    import peft  # noqa: F401, with bitsandbytes, which would look for CUDA's libraries
    import torch

    if torch.version.cuda is None:
        torch.version.cuda = "12.8"
        torch._C._cuda_init = lambda: None
        torch.cuda._is_in_bad_fork = bool  # False, and unlike torch's own it can be pickled
    import spaces.zero.torch.packing
    import spaces.zero.wrappers

    # The package writes and reads weights through gigabytes; a test's few megabytes need less.
    spaces.zero.torch.packing.VM_MAX_SIZE = spaces.zero.torch.packing.BUFFER_SIZE = 2**25

    def on_cpu(make: Callable) -> Callable:
        def made(*arguments: object, **options: object) -> object:
            options.pop("pin_memory", None)
            return make(*arguments, **options | ({"device": "cpu"} if options.get("device") == "cuda" else {}))

        return made

    def init(nvidia_uuid: str) -> None:
        """In the forked process, where `spaces` has taken its patch away. Pinned memory begins with a page, as direct reading wants it."""
        torch.tensor, torch.empty = on_cpu(torch.tensor), on_cpu(torch.empty)
        torch.Tensor.cuda = lambda self, *_, **__: self.clone()
        torch.Tensor.pin_memory = lambda self, *_, **__: torch.frombuffer(mmap.mmap(-1, self.nbytes), dtype=self.dtype)
        torch.cuda.synchronize = lambda *_: None

    spaces.zero.wrappers.torch.init = init
