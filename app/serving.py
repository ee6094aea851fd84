"""How the page is opened: an address to listen on, a server for it, and a clean end.

Gradio's own launch() is not used: it calls itself over HTTP to see whether it is up, through proxies and certificates that the environment
names for other purposes, gives up after five seconds, and ends without cleaning up on SIGTERM."""

import errno
import json
import socket
from pathlib import Path

import gradio as gr
import uvicorn
from mcp.types import TextContent
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from annotations import AnnotationError
from app import zero_gpu
from app.browser import GivesCookie
from app.environment import say
from app.fair_queue import use_fair_queue
from app.gate import Gate
from app.loaded_scorers import Scorers
from app.page import build_page, theme
from app.settings import EXAMPLES, MAX_UPLOAD, Settings
from app.shown_images import example_files
from model.common.allocator import keep_freed_memory
from model.common.errors import ModelError
from model.loading.known import check_spec

HERE = Path(__file__).parent
SESSIONS = 500  # visitors whose state is kept
IDLE = 75  # seconds that a connection stays open between requests; raters look at an image for longer than uvicorn's 5
LAST_WORDS = 5  # seconds that running requests get when the page ends


class CannotOpen(Exception):
    """Why the page cannot be served; str(error) is one sentence."""


def serve(settings: Settings) -> None:
    """Open the page and serve it until interrupted. Ends with one sentence where model, data folder or port cannot be used."""
    keep_freed_memory()
    scorers = Scorers(settings.adapters, settings.device, settings.dtype, settings.check_offered)
    try:
        for spec in settings.configured:
            check_spec(spec, settings.adapters)
        with listen(settings.host, settings.port) as listening:
            page = build_page(settings, scorers)
            server = Server(page, web_app(page, settings), settings.port)
            if zero_gpu.ZERO_GPU:
                scorers.load(settings.configured)
                zero_gpu.report_start()
            say(f"Q-Scorer Studio is open at {address(settings)} (Ctrl-C ends it)")
            if not zero_gpu.ZERO_GPU:
                scorers.load(settings.configured)
            server.run(sockets=[listening])
    except (ModelError, AnnotationError, CannotOpen) as error:
        raise SystemExit(f"error: {error}") from None


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on the first address of `host` that this machine has. Raises CannotOpen."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise CannotOpen(f"there is no host '{host[:80]}': choose another --host.") from error
    failed = OSError()
    for family, kind, protocol, _, place in found:
        try:
            listening = socket.socket(family, kind, protocol)
        except OSError as error:  # a family that this system was built without
            failed = error
            continue
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(place)
            listening.listen(2048)
            return listening
        except OSError as error:
            listening.close()
            failed = error
    if failed.errno == errno.EADDRINUSE:
        raise CannotOpen(f"port {port} is in use by another program: choose another, say --port {port % 65535 + 1}.")
    raise CannotOpen(f"{host}:{port} cannot be listened on ({failed.strerror}): choose another --host or --port.")


def web_app(page: gr.Blocks, settings: Settings) -> Gate:
    """The page as an ASGI application."""
    use_fair_queue(page)
    page.state_session_capacity = SESSIONS
    page.has_launched = True  # else a mounted page takes the path of any file of this machine for an upload
    # Gradio lets every origin read answers unless the application around it has rules of its own: here, none may.
    knows_browsers = Middleware(GivesCookie, framed=settings.space)
    around = Starlette(middleware=[Middleware(CORSMiddleware, allow_origins=()), knows_browsers])
    gr.mount_gradio_app(
        around,
        page,
        path="",
        root_path=settings.root_path,
        theme=theme(),
        css_paths=[HERE / "page.css"],
        head=f"<script>{(HERE / 'page.js').read_text(encoding='utf-8')}</script>",
        max_file_size=MAX_UPLOAD,
        allowed_paths=[str(example) for example in example_files(EXAMPLES)],
        blocked_paths=[str(settings.data_dir.absolute())],
        footer_links=["api", "settings"],
        show_error=False,
        run_history=False,
        enable_monitoring=False,
        mcp_server=True,
        ssr_mode=False,
        pwa=False,
    )
    # In the application that was mounted, where sign-in is known, and before its own routes, some of which take any path.
    around.routes[-1].app.router.routes[:0] = page.study_routes
    page.mcp_server_obj.postprocess_output_data = as_json
    return Gate(around, settings.host, settings.hosts, any_host=settings.space)


def as_json(data: list, root_url: str) -> list[TextContent]:
    """What an endpoint answers, as an MCP tool's result; Gradio would write it as Python."""
    return [TextContent(type="text", text=json.dumps(answer)) for answer in data]


class Server(uvicorn.Server):
    """Serves the page; when it ends, the streams that browsers hold open end first."""

    def __init__(self, page: gr.Blocks, app: Gate, port: int) -> None:
        options = {"workers": 1, "ws": "none", "log_level": "warning", "timeout_graceful_shutdown": LAST_WORDS}
        super().__init__(uvicorn.Config(app, port=port, timeout_keep_alive=IDLE, **options))
        self.page = page
        page.server = self  # by its port a process of ZeroGPU knows the connections that it must not hold open

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.page._queue.close()
        self.page.app.stop_event.set()
        await super().shutdown(sockets)


def address(settings: Settings) -> str:
    """Where to open the page on this machine."""
    anywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}
    host = anywhere.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}/"
