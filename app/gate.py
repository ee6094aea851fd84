"""The gate before the page: who may talk to it from where, to which of Gradio's routes, and with how much; and faults of these routes
without a trace."""

import re
from collections.abc import Sequence
from ipaddress import ip_address
from socket import gethostname
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.environment import say

# What the page and clients of its endpoints use. Gradio has more: deep links that stay on disk, a proxy, monitoring, reloading.
ROUTES = re.compile(
    r"/|/(login/huggingface|login/callback|logout|config|theme\.css|favicon\.ico|manifest\.json|robots\.txt)/?|/(assets|static|svelte)/.*"
    r"|/study/[a-z0-9_-]+(/(enter|rate|undo|reveal|image/[0-9a-f]+)?)?"
    r"|/gradio_api/((info|openapi\.json|queue/join|queue/data|queue/status|upload|upload_progress|cancel|reset|app_id|theme\.css"
    r"|login_check|user|token|mcp|mcp/schema)/?|(call|run|api|heartbeat|file)/.*|file=.*)"
)
MOST_JSON = 8 * 2**20  # bytes of a call; files come by /upload, which has its own limit


class Gate:
    """ASGI middleware around the page. bound: the host it listens on. named: the host names under which a proxy serves it; any_host: they
    are not known (a Space), and only foreign origins are refused. Localhost, this machine's own name and IP addresses always pass.

    A site that somebody visits can send requests from their browser to this page. It cannot choose the Host or the Origin that the browser
    sends, and these are checked: a foreign origin is refused, and so is a name that such a site has resolved to this machine.
    """

    def __init__(self, app: ASGIApp, bound: str, named: Sequence[str], any_host: bool = False) -> None:
        own = gethostname().lower()
        self.app, self.named, self.any_host = app, set(named), any_host
        self.names = {"localhost", own, f"{own}.local", bound.lower(), *named}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # lifespan; the page has no web sockets
            return await self.app(scope, receive, send)
        if refused := self.refusal(scope):
            return await refused(scope, receive, send)
        await self._serve(scope, receive, send)

    def refusal(self, scope: Scope) -> PlainTextResponse | None:
        """The answer to a request that does not pass."""
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self.any_host and not self._known(host):
            return PlainTextResponse(
                f"This page is not served as {host[:80]!r}. Whoever runs it can allow the name with --allow-host.", 403
            )
        if origin is not None and not self._same(origin, host, headers.get("x-forwarded-host", "")):
            return PlainTextResponse(
                "Pages of other sites may not use this one. Behind a proxy, its address is allowed by --root-path or --allow-host.",
                403,
            )
        if not ROUTES.fullmatch(scope["path"]):
            return PlainTextResponse("There is nothing here.", 404)
        if not scope["path"].startswith("/gradio_api/upload") and _length(headers) > MOST_JSON:
            return PlainTextResponse(f"This call is larger than {MOST_JSON >> 20} MB.", 413)
        return None

    def _known(self, host: str) -> bool:
        name = _name(host)
        return name in self.names or _is_address(name)

    def _same(self, origin: str, host: str, forwarded: str) -> bool:
        """Whether the page that sends a request is this one. A proxy tells the host that the browser asked for as `forwarded`; a site
        cannot make a browser send that without asking first, and it is not allowed to."""
        asked = origin.partition("://")[2].lower()
        hosts = {host.lower(), forwarded.partition(",")[0].strip().lower()}
        return bool(asked) and (asked in hosts or _name(asked) in self.named)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        held: list[Message] = []  # an answer with status 500: what Gradio says before its fault comes up here
        started = False
        taken, limited = 0, not scope["path"].startswith("/gradio_api/upload")

        async def take() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if limited and taken > MOST_JSON:  # its length was not announced
                return {"type": "http.disconnect"}
            return message

        async def tell(message: Message) -> None:
            nonlocal started
            if held or message.get("status") == 500:
                held.append(message)
            else:
                started = True
                await send(message)

        try:
            await self.app(scope, take, tell)
            for message in held:
                await send(message)
        except Exception as error:
            # Gradio's routes raise anything at requests that they do not expect. The page's own functions run in its queue, where
            # their faults are logged with a trace.
            say(f"{scope['method']} {scope['path'][:200]!r} failed: {type(error).__name__}")
            if started:  # a stream
                await send({"type": "http.response.body", "body": b""})
            else:
                await PlainTextResponse("This request is malformed and cannot be answered.", 400)(scope, receive, send)


def _length(headers: Headers) -> int:
    length = headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdecimal() else 0


def _name(host: str) -> str:
    """Host without its port, and an IPv6 address without its brackets."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        return bool(ip_address(name))
    except ValueError:
        return False
