"""Which browser an event comes from: a cookie that every page carries, so that the answer depends on no other event."""

import hashlib
import re
import secrets

import gradio as gr
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "q-scorer-studio"
TOKEN = re.compile(rf"(?:^|;\s*){COOKIE}=([A-Za-z0-9_-]{{32,64}})(?:;|$)")
KEPT = 400 * 24 * 3600  # seconds: the longest that browsers allow


class GivesCookie:
    """ASGI middleware: a page that is sent to a browser without the cookie brings it along.

    framed: the page may stand in a frame of another site, as on a Hugging Face Space, where browsers keep marked cookies only.
    """

    def __init__(self, app: ASGIApp, framed: bool) -> None:
        self.app = app
        framing = "SameSite=None; Secure; Partitioned" if framed else "SameSite=Lax"
        self.rules = f"Max-Age={KEPT}; Path=/; HttpOnly; {framing}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get("content-type", "").startswith("text/html"):
                    headers.append("set-cookie", f"{COOKIE}={secrets.token_urlsafe(32)}; {self.rules}")
            await send(message)

        known = scope["type"] != "http" or TOKEN.search(Headers(scope=scope).get("cookie", ""))
        await self.app(scope, receive, send if known else send_with_cookie)


def known_browser(request: gr.Request) -> str | None:
    """What stands for the browser, a hash of its token; None for a program, and where cookies are refused."""
    token = TOKEN.search(dict(request.headers).get("cookie", ""))
    return hashlib.sha256(token[1].encode()).hexdigest() if token else None


def browser_of(request: gr.Request) -> str:
    """`known_browser`; without a cookie the open page stands for it, until it is loaded again."""
    page = f"page {request.session_hash or secrets.token_urlsafe(32)}"
    return known_browser(request) or hashlib.sha256(page.encode()).hexdigest()
