"""Who a visitor is, by the session that Hugging Face's sign-in leaves and never by what they type, and what they may do.

Raters who signed in are called by their Hugging Face name with an @ before it, which no typed name may begin with.
"""

import hmac
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gradio as gr

from app.browser import known_browser
from app.errors import Refused
from app.limits import Limits
from app.settings import ANYONE, ORG, Settings

SIGN_IN = (
    "Sign in with Hugging Face, at the top of the page, to rate: this page keeps ratings of signed-in visitors only."
)
NO_SIGN_IN = (
    "Nobody can rate here yet: this page is set to signed-in raters (QSCORER_RATERS) and has no sign-in. Whoever runs it adds "
    "hf_oauth: true to the Space's README, or sets QSCORER_RATERS=anyone."
)


class Who:
    """The rules of a page: who may rate (QSCORER_RATERS), who owns it (QSCORER_OWNERS)."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.limits = settings, Limits()
        self._owners_browsers: set[str] = set()

    def allow(self, request: gr.Request, paths: Iterable[str | Path]) -> None:
        """Raises Refused when a visitor of a public page has had so many images scored lately that these files are too much."""
        if not self.settings.public:
            return
        sizes = [path.stat().st_size for path in map(Path, paths) if path.is_file()]
        address = f"address {request.client.host if request.client else ''}"
        visitor = self.shown_name(request) or known_browser(request) or f"{address}, no cookie"
        self.limits.take(visitor, address, len(sizes), sum(sizes))

    def rater(self, request: gr.Request, typed: str) -> str:
        """The name under which a visitor rates: that of their session, or what they typed where anyone may. Raises Refused."""
        rules, person = self.settings.raters, profile(request)
        if person is None:
            if rules != ANYONE:
                raise Refused(SIGN_IN if self.settings.sign_in else NO_SIGN_IN)
            if typed.strip().startswith("@"):
                raise Refused("Names that begin with @ are those of signed-in visitors: choose another.")
            return typed
        if rules.startswith(ORG) and rules.removeprefix(ORG).lower() not in organisations(person):
            raise Refused(f"Only members of {rules.removeprefix(ORG)} rate here.")
        return f"@{person['preferred_username']}"

    def check_rater(self, request: gr.Request, name: str) -> None:
        """Raises Refused when the visitor is not this rater (any more)."""
        if self.rater(request, name) != name:
            raise Refused(f"This image was shown to {name}: press Start rating again.")

    def is_owner(self, request: gr.Request) -> bool:
        """Whether the visitor may fine-tune, see raters' names and export: on a page that others reach whoever is listed and signed in,
        or has given the owner's token; elsewhere the person at the machine."""
        person = profile(request)
        return (
            not self.settings.public
            or person is not None
            and person["preferred_username"] in self.settings.owners
            or known_browser(request) in self._owners_browsers
        )

    def admit_owner(self, request: gr.Request, token: str) -> None:
        """From now on the visitor's browser is an owner's, until the page ends. Raises Refused for a wrong token."""
        browser, expected = known_browser(request), self.settings.owner_token
        if not expected or not hmac.compare_digest(token.encode(), expected.encode()):
            raise Refused(
                "This is not the owner's token: it is what QSCORER_OWNER_TOKEN was set to when the page was started."
            )
        if browser is None:
            raise Refused("Allow cookies for this page first: the owner's browser is known by one.")
        self._owners_browsers.add(browser)

    def shown_name(self, request: gr.Request) -> str | None:
        """The name under which a signed-in visitor rates; None for others."""
        person = profile(request)
        return person and f"@{person['preferred_username']}"


def profile(request: gr.Request) -> dict[str, Any] | None:
    """What Hugging Face says of the person who signed in, from the cookie that the server signed; None where nobody has, or it
    was too long ago."""
    scope = getattr(
        getattr(request, "request", None) or request, "scope", {}
    )  # an MCP call comes with the request itself
    known = scope.get("session", {}).get("oauth_info") or {}
    if known.get("expires_at", float("inf")) < time.time():
        return None
    person = known.get("userinfo") or {}
    return person if person.get("preferred_username") else None


def organisations(person: dict[str, Any]) -> set[str]:
    """The handles of the organisations that a person belongs to. Not their display names: anybody may choose these."""
    return {str(org.get("preferred_username")).lower() for org in person.get("orgs") or [] if isinstance(org, dict)}
