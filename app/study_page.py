"""The rater's page of a study, at /study/NAME/: one plain HTML page and the endpoints that it calls.

It is not made of Gradio's components. A rating whose answer was lost is sent again under the same key, the next image is loaded while the
rater looks at one, and a rating with what comes next takes one request, where an event of Gradio's queue takes two and a stream. It stands
within Gradio's application all the same: behind the same gate, with the same sign-in.
"""

import json
import weakref
from collections.abc import Callable
from functools import cache, wraps
from html import escape
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from annotations import AnnotationError, Annotations, clean_name
from annotations.errors import NameTaken, NotOpen, NotPresented, StorageError
from annotations.studies.showing import Presented, Showing
from annotations.studies.study import Study
from app.browser import known_browser
from app.environment import say
from app.errors import Refused
from app.loaded_scorers import Scorers
from app.session import shown_score
from app.settings import ANYONE, Settings
from app.study_images import SentImages
from app.who import Who
from model.common.errors import ImageError, ModelError
from model.scoring.assessment import Failure

HERE = Path(__file__).parent
PRIVATE = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}
NO_COOKIES = "This browser keeps no cookies, by which a study knows what it was shown: allow them for this page."
# What the page tells apart, and in which language it says so, goes by these codes (study_words.json); the rest is said as it is.
ANSWERS: dict[type[Exception], tuple[int, str]] = {
    NotOpen: (409, "not_open"),
    NameTaken: (409, "name_taken"),
    NotPresented: (403, "not_presented"),
    StorageError: (503, "storage"),  # it may pass: the page tries again
    ImageError: (410, "image"),
    AnnotationError: (400, "refused"),
    ModelError: (400, "refused"),
    Refused: (403, "refused"),
}

Two = Annotated[list[int], Field(min_length=2, max_length=2)]
Key = Annotated[str, Field(max_length=64)]


class Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class Entering(Body):
    """`link`: a key from the rater's own link, which shows in another browser that it is they."""

    rater: Annotated[str, Field(max_length=200)]
    link: Key | None = None


class View(Body):
    """Width and height of screen, window and image as shown; `ratio`: device pixels a CSS pixel, which zoom changes."""

    screen: Two
    window: Two
    shown: Two
    ratio: float

    def __str__(self) -> str:
        sizes = {name: "x".join(map(str, getattr(self, name))) for name in ("screen", "window", "shown")}
        return "; ".join(f"{name} {size}" for name, size in sizes.items()) + f"; ratio {self.ratio:.3g}"


class Rated(Body):
    key: Key
    value: float
    seconds: Annotated[float, Field(ge=0)]
    view: View


class OfKey(Body):
    key: Key


def answering(function: Callable) -> Callable:
    """An endpoint whose refusals are a code and a sentence."""

    @wraps(function)
    def guarded(*arguments, **named):
        try:
            found = function(*arguments, **named)
        except tuple(ANSWERS) as error:
            status, code = next(ANSWERS[kind] for kind in type(error).__mro__ if kind in ANSWERS)
            return JSONResponse({"code": code, "sentence": str(error)}, status, headers=PRIVATE)
        return found if isinstance(found, Response) else JSONResponse(found, headers=PRIVATE)

    return guarded


class StudyPage:
    """What the page and its endpoints do. Whoever acts is known by browser and sign-in; what they act on, by the key of a presentation."""

    def __init__(self, settings: Settings, scorers: Scorers, annotations: Annotations, who: Who) -> None:
        self.settings, self.scorers, self.annotations, self.who = settings, scorers, annotations, who
        self.images = SentImages()
        weakref.finalize(self, annotations.hold_open().close)
        self.unreadable: set[str] = set()  # since the page was opened

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/study/{name}", include_in_schema=False)
        router.add_api_route("", lambda name: RedirectResponse(f"{name}/"))
        router.add_api_route("/", self.page)
        router.add_api_route("/image/{key}", answering(self.image))
        for function in (self.enter, self.rate, self.undo, self.reveal):
            router.add_api_route(f"/{function.__name__}", answering(function), methods=["POST"], response_model=None)
        return router

    def page(self, name: str, request: Request) -> Response:
        """The page in the browser's language; of a study that is not open it tells the title only."""
        lang = language(request.headers.get("accept-language", ""))
        study = self._study(name)
        try:
            definition, state = study.definition(), study.state()
        except AnnotationError as error:
            return HTMLResponse(f"<!doctype html><title>Study</title><p>{escape(str(error))}</p>", 404, headers=PRIVATE)
        data = {"study": name, "title": definition.title, "state": state, "lang": lang, "words": words()[lang]}
        if state == "open":
            data |= {name: getattr(definition, name) for name in ("question", "instructions", "reveal")}
            scale = definition.scale
            data |= {"scale": scale.kind, "labels": scale.labels, "low": scale.low, "high": scale.high}
            data |= {"training": len(definition.training), "length": definition.session_length}
            data |= self._visitor(request, name)
        parts = {name: (HERE / f"study.{name}").read_text(encoding="utf-8") for name in ("html", "css", "js")}
        parts |= {"lang": lang, "title": escape(definition.title)}
        parts["data"] = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
        html = parts.pop("html")
        for part, text in parts.items():
            html = html.replace(f"<!--{part}-->", text, 1)
        return HTMLResponse(html, headers=PRIVATE)

    def enter(self, name: str, given: Entering, request: Request) -> dict:
        """The rater begins or goes on: what is on screen, and the image after it."""
        study, browser, rater = self._study(name), browser_of(request), self.who.rater(request, given.rater)
        with_what = {"browser": browser, "without": self.unreadable}
        if self.who.shown_name(request):
            showings = study.show_two(rater, **with_what)
        else:
            showings = study.enter(rater, given.link, **with_what)
        return {"rater": clean_name(rater)} | on_screen(showings)

    def rate(self, name: str, given: Rated, request: Request) -> dict:
        """Keeps a rating, or finds it kept when it is sent again; with what comes next."""
        found, kept, showings = self._study(name).answer(
            given.key,
            given.value,
            lambda presented: self.who.check_rater(request, presented.rater),
            browser=browser_of(request),
            seconds=given.seconds,
            screen=str(given.view),
            without=self.unreadable,
        )
        saved = {"at": kept.created_at, "value": kept.value}
        return {"saved": saved, "explanation": found.explanation} | on_screen(showings)

    def undo(self, name: str, given: OfKey, request: Request) -> dict:
        """The image that was rated before, once more."""
        study, found = self._study(name), self._mine(name, given.key, request)
        showing = study.undo(found.rater, browser=browser_of(request), key=given.key)
        return on_screen((showing,) if showing else ())

    def reveal(self, name: str, given: OfKey, request: Request) -> dict:
        """The model's score of an image that was rated, where the study says so."""
        study, found = self._study(name), self._mine(name, given.key, request)
        if not found.rated or not study.definition().reveal:
            raise Refused("This study shows no scores, or none before the rating.")
        outcome = next(self.scorers.get(self.settings.for_all).assess_files([study.image_path(found.sha256)]))
        if isinstance(outcome, Failure):
            raise Refused(f"There is no score of this image: {outcome.error}.")
        shown = shown_score(outcome)
        self.annotations.note_exposures(
            [(found.sha256, shown)], place="study", browser=browser_of(request), rater=found.rater
        )
        return {"model": shown.model, "score": shown.score, "scale": shown.scale}

    def image(self, name: str, key: str, request: Request) -> Response:
        """The image that was presented under a key, for whom it was presented to. One that cannot be shown is left out from then on."""
        found, path = self._study(name).presented_image(key, browser=browser_of(request))
        self.who.check_rater(request, found.rater)
        try:
            if path is None:
                raise ImageError("it was taken back by whoever added it")
            sent = self.images.get(found.sha256, path)
        except ImageError as error:
            self.unreadable.add(found.sha256)
            if self.annotations.note_problem(found.sha256, str(error)):
                say(f"error: an image of the study {name} cannot be shown to raters: {error}")
            raise
        return Response(sent.content, media_type=sent.media_type, headers=PRIVATE)

    def _study(self, name: str) -> Study:
        return Study(self.settings.data_dir.absolute(), name)

    def _mine(self, name: str, key: str, request: Request) -> Presented:
        """What was presented to this visitor under a key. Raises NotPresented, and Refused where somebody else has signed in since."""
        found = self._study(name).presented(key, browser=browser_of(request))
        self.who.check_rater(request, found.rater)
        return found

    def _visitor(self, request: Request, name: str) -> dict:
        """Who has signed in, where to do that, and why the visitor may not rate."""
        try:
            rater, refused = self.who.rater(request, "somebody"), None
        except Refused as error:
            rater, refused = "", str(error)
        sign_in = f"../../login/huggingface?_target_url=/study/{name}/" if self.settings.sign_in else None
        code = "sign_in" if refused and sign_in and not self.who.shown_name(request) else "refused"
        return {
            "signed_in": rater if self.who.shown_name(request) else None,
            "sign_in": sign_in if self.settings.raters != ANYONE else None,
            "refused": {"code": code, "sentence": refused} if refused else None,
        }


def browser_of(request: Request) -> str:
    """What stands for the browser. Raises Refused where it has no cookie, since then nothing shows to whom an image was presented."""
    browser = known_browser(request)
    if browser is None:
        raise Refused(NO_COOKIES)
    return browser


def on_screen(showings: tuple[Showing, ...]) -> dict:
    """What the page is told of the image to rate and the one after it: nothing of kinds, files or explanations."""
    told = [{name: getattr(one, name) for name in ("key", "session", "place", "length")} for one in showings]
    return dict(zip(("current", "ahead"), [*told, None, None], strict=False))


@cache
def words() -> dict[str, dict[str, str]]:
    """The page's words by language."""
    return json.loads((HERE / "study_words.json").read_text(encoding="utf-8"))


def language(accepted: str) -> str:
    """The first language of an Accept-Language header that the page has words in; English where there is none."""
    asked = (part.partition(";")[0].strip().partition("-")[0].lower() for part in accepted.split(","))
    return next((one for one in asked if one in words()), "en")
