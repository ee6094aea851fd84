"""A Hugging Face hub of one machine: serves the folders that it is given, in the hub's own protocol, to the real client."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def small_hub(
    models: dict[str, Path], gated: str = "", broken: str = "", slow: str = "", seconds: float = 4
) -> Iterator[tuple[str, list[str]]]:
    """Serve `models` (owner/name to folder) at their revisions main and v1. Gives the endpoint and the list of what is asked for.
    The model `gated` wants a log-in; files whose name ends with `broken` break off half-way, with `slow`
    take `seconds` after their first quarter."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

        def answer(self, status: int, body: bytes, **headers: str):
            self.send_response(status)
            headers = {"Content-Length": str(len(body)), "X-Repo-Commit": COMMIT} | headers
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command == "GET":
                if slow and self.path.endswith(slow):
                    part = len(body) // 64
                    for start in range(0, 64 * part, part):
                        try:
                            self.wfile.write(body[start : start + part])
                        except ConnectionError:
                            return  # whoever asked wants no more of it
                        if start > len(body) // 4:
                            time.sleep(seconds / 64)
                    body = body[64 * part :]
                self.wfile.write(body[: len(body) // 2] if broken and self.path.endswith(broken) else body)

        def do_GET(self):
            path = unquote(urlsplit(self.path).path).strip("/").removeprefix("api/models/")
            asked.append(path)
            owner, name, *rest = path.split("/")
            folder = models.get(f"{owner}/{name}")
            if f"{owner}/{name}" == gated:
                return self.answer(403, b"{}", X_Error_Code="GatedRepo")
            if folder is None:
                return self.answer(404, b"{}", X_Error_Code="RepoNotFound")
            if len(rest) > 1 and rest[1] not in ("main", "v1", COMMIT):
                return self.answer(404, b"{}", X_Error_Code="RevisionNotFound")
            if rest[:1] == ["resolve"]:
                content = (folder / "/".join(rest[2:])).read_bytes()
                return self.answer(200, content, ETag=f'"{hashlib.sha1(content).hexdigest()}"')
            files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
            if rest[:1] == ["tree"]:
                listing = [
                    {"type": "file", "path": str(f.relative_to(folder)), "size": f.stat().st_size, "oid": f.name}
                    for f in files
                ]
                return self.answer(200, json.dumps(listing).encode(), Content_Type="application/json")
            siblings = [{"rfilename": str(path.relative_to(folder))} for path in files]
            info = {"id": f"{owner}/{name}", "modelId": f"{owner}/{name}", "sha": COMMIT, "siblings": siblings}
            self.answer(200, json.dumps(info).encode(), Content_Type="application/json")

        do_HEAD = do_GET

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
