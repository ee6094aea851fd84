"""The endpoints for programs and AI assistants (docs/api.md): what the commands do, over HTTP and as MCP tools."""

import base64
import binascii
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from pathlib import Path

import gradio as gr
from gradio.data_classes import FileData
from gradio.utils import get_upload_folder

from annotations import Annotations
from app.browser import known_browser
from app.checked_calls import uploaded
from app.errors import FAULTS, Refused
from app.loaded_scorers import Scorers, words_of
from app.score_files import MOST_FILES, score_files
from app.session import Scored, note_shown
from app.settings import Settings
from app.shown_names import file_name
from app.who import Who
from model.backbones.spec import QUALITY
from model.common.errors import ImageError
from model.loading.known import KNOWN
from model.scoring.assessment import Assessment, Failure, common_score

ANY_ADDRESS = "An image is a file that was uploaded to this page, or a data: URL of it; files elsewhere are not fetched. See docs/api.md."


class Api:
    """The functions behind the endpoints. Each raises FAULTS; `build` makes them the caller's sentence."""

    def __init__(self, settings: Settings, scorers: Scorers, annotations: Annotations, who: Who) -> None:
        self.settings, self.scorers, self.annotations, self.who = settings, scorers, annotations, who

    def score(self, request: gr.Request, image: FileData, model: str = "", task: str = QUALITY) -> dict:
        """Score one image: how good people would find it.

        Parameters:
            image: the image file
            model: one of those that /models lists; empty for the page's own
            task: quality, or another that the model knows
        Returns:
            the assessment: score on its scale (higher is better), probabilities of the tokens, uncertainty, interval, model
        """
        (outcome,) = self._assess([image], model, task, request)
        if not isinstance(outcome, Scored):
            raise ImageError(f"{file_name(outcome.image)}: {outcome.error}")
        return named(outcome.assessment)

    def score_batch(
        self, request: gr.Request, images: list[FileData], model: str = "", task: str = QUALITY
    ) -> list[dict]:
        """Score several images.

        Parameters:
            images: the image files
            model: one of those that /models lists; empty for the page's own
            task: quality, or another that the model knows
        Returns:
            for each image, in order, its assessment, or an object of image and error
        """
        return [
            named(outcome.assessment if isinstance(outcome, Scored) else outcome)
            for outcome in self._assess(images, model, task, request)
        ]

    def compare(self, request: gr.Request, image: FileData, models: list[str]) -> list[dict]:
        """Score one image with several models.

        Parameters:
            image: the image file
            models: names of those that /models lists
        Returns:
            each model's assessment, with common_score: the score on 0 to 100, comparable in unit, not in meaning
        """
        if not models or len(models) > len(KNOWN):
            raise Refused(f"Give 1 to {len(KNOWN)} models to compare.")
        assessments = []
        for model in models:
            (outcome,) = self._assess([image], model, QUALITY, request)
            if not isinstance(outcome, Scored):
                raise ImageError(f"{file_name(outcome.image)}: {outcome.error}")
            assessments.append(outcome.assessment)
        return [named(a) | {"common_score": common_score(a.score, a.scale)} for a in assessments]

    def models(self) -> list[dict]:
        """List the models that may be used here.

        Returns:
            of each: name, words (what it is), tasks; the first is what /score takes by itself
        """
        offered = self.settings.offered if self.settings.public else [*self.settings.offered, *KNOWN]
        return [
            {"name": name, "words": words_of(name), "tasks": list(KNOWN[name].tasks if name in KNOWN else (QUALITY,))}
            for name in dict.fromkeys(offered)
        ]

    def percentile(self, score: float, model: str = "") -> dict:
        """Tell where a score stands among photographs.

        Parameters:
            score: a score by this model, on its own scale
            model: a model that ships; empty for the page's own
        Returns:
            percentile (the share of reference photographs that the model scores lower, 0 to 100), how many photographs, of what data
        """
        from model.evaluation.percentiles import percentile_of

        return asdict(percentile_of(score, model or self.settings.for_all))

    def _assess(self, images: list[FileData], model: str, task: str, request: gr.Request) -> list[Scored | Failure]:
        if not images:
            raise Refused("There is no image in this call. " + ANY_ADDRESS)
        if len(images) > MOST_FILES:
            raise Refused(f"These are {len(images)} images, and at most {MOST_FILES} are scored at once.")
        paths = [image_path(image) for image in images]
        self.who.allow(request, paths)
        scorer = self.scorers.get(model or self.settings.for_all)
        outcomes = list(score_files(scorer, list(map(str, paths)), task, self.scorers.known))
        if (browser := known_browser(request)) and task == QUALITY:
            shown = [(found.sha256, found.assessment) for found in outcomes if isinstance(found, Scored)]
            note_shown(self.annotations, "api", browser, shown)
        return outcomes


def build(api: Api) -> None:
    """Put the endpoints on the page. Call it first: Gradio numbers later functions of the same name.

    Unqueued: an MCP call then runs here and now, not through an HTTP client of the page's own; other clients' calls are queued anyway.
    """
    for function in (api.score, api.score_batch, api.compare, api.models, api.percentile):
        gr.api(says_fault(function), queue=False)


def says_fault(function: Callable) -> Callable:
    """An endpoint whose fault is its caller's sentence."""

    @wraps(function)
    def guarded(*arguments, **options):
        try:
            return function(*arguments, **options)
        except FAULTS as error:
            raise gr.Error(str(error), print_exception=False) from error

    return guarded


def image_path(given: FileData | dict | str | None) -> Path:
    """The file of an image that a caller gave: what Gradio made of an upload, or a data: URL, which is written to a file.

    Raises Refused for anything else, above all for a file of this machine that was not uploaded.
    """
    path = given.get("path") if isinstance(given, dict) else getattr(given, "path", given)
    if isinstance(path, str) and path.startswith("data:"):
        return written(path)
    upload = uploaded(path) if isinstance(path, str) else None
    if upload is None:
        raise Refused("This is no image that was uploaded. " + ANY_ADDRESS)
    return upload


def written(data_url: str) -> Path:
    """The file that a data: URL holds, in the folder of uploads. Raises Refused."""
    head, _, content = data_url.partition(",")
    try:
        data = base64.b64decode(content, validate=True) if head.endswith(";base64") else b""
    except binascii.Error:
        data = b""
    if not data:
        raise Refused("This data: URL is broken: it begins with data:image/…;base64, and goes on in base64.")
    folder = Path(tempfile.mkdtemp(prefix="data-url-", dir=get_upload_folder()))
    (folder / "image").write_bytes(data)
    return folder / "image"


def named(outcome: Assessment | Failure) -> dict:
    """An outcome as `python -m model.score --format json` prints it, the image by its file's name alone."""
    return outcome.to_dict() | {"image": file_name(outcome.image)}
