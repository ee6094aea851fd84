"""A stand-in for Hugging Face's sign-in: an OpenID provider on loopback, with which Gradio's own routes do all that they do on a Space."""

import json
import re
import threading
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import gradio.oauth
import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.patience import PATIENCE

CLIENT = "a-space"


@contextmanager
def provider() -> Iterator[str]:
    """Its address. The code that it is sent says who signed in, which a real provider would have asked."""
    key = RSAKey.generate_key(2048, {"kid": "1"})

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = {
                "issuer": address,
                "authorization_endpoint": f"{address}/authorize",
                "token_endpoint": f"{address}/token",
                "jwks_uri": f"{address}/keys",
                "id_token_signing_alg_values_supported": ["RS256"],
            }
            self._send({"keys": [key.as_dict(private=False)]} if self.path == "/keys" else known)

        def do_POST(self) -> None:
            sent = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            person = json.loads(urlsafe_b64decode(sent["code"][0]))
            now = int(time.time())
            claims = {"iss": address, "aud": CLIENT, "sub": "1", "iat": now, "exp": now + 600} | person
            token = jwt.encode({"alg": "RS256", "kid": "1"}, claims, key)
            self._send({"access_token": "x", "token_type": "bearer", "expires_in": 600, "id_token": token})

        def _send(self, content: dict) -> None:
            body = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield address
        server.shutdown()


def as_a_space(patch: pytest.MonkeyPatch, address: str) -> None:
    """The environment of a Space whose README says hf_oauth: true."""
    patch.setenv("SPACE_ID", "somebody/studio")
    patch.setenv("SPACE_AUTHOR_NAME", "somebody")
    patch.setenv("SYSTEM", "spaces")
    patch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")  # the provider is here, without TLS
    for name, value in {"CLIENT_ID": CLIENT, "CLIENT_SECRET": "a secret", "SCOPES": "openid profile"}.items():
        patch.setenv(f"OAUTH_{name}", value)
        patch.setattr(gradio.oauth, f"OAUTH_{name}", value)  # read when Gradio was imported
    patch.setattr(gradio.oauth, "OPENID_PROVIDER_URL", address)


def sign_in(page: str, name: str, **claims) -> str:
    """The cookie of somebody who has signed in."""
    asked = httpx.get(f"{page}/login/huggingface", timeout=PATIENCE)
    query = parse_qs(urlsplit(asked.headers["location"]).query)
    person = {"preferred_username": name, "name": name.title(), "profile": "", "picture": ""} | claims
    code = urlsafe_b64encode(json.dumps(person | {"nonce": query["nonce"][0]}).encode()).decode()
    back = httpx.get(
        f"{page}/login/callback",
        params={"code": code, "state": query["state"][0]},
        headers={"Cookie": session(asked)},
        timeout=PATIENCE,
    )
    assert back.status_code == 307, back.text
    return session(back)


def session(answer: httpx.Response) -> str:
    found = [re.match("session=[^;]+", given) for given in answer.headers.get_list("set-cookie")]
    return next(filter(None, found))[0]
