"""The endpoint for programs: /score takes an image file and gives its assessment as `python -m model.score` does."""

from pathlib import Path

import gradio as gr

from annotations import Annotations
from app.browser import known_browser
from app.compare_tab import open_image_named
from app.errors import FAULTS, Refused
from app.loaded_scorers import Scorers
from app.score_files import file_sha256
from app.session import note_shown
from app.settings import Settings


def build(settings: Settings, scorers: Scorers, annotations: Annotations) -> None:
    """Put the endpoint on the page; nothing of it is seen there. Call it first: Gradio numbers later functions of the same name."""
    file, answer, trigger = gr.File(visible=False), gr.JSON(visible=False), gr.Button(visible=False)

    def score(path: str | None, request: gr.Request) -> dict:
        """Score one image; returns the assessment as a JSON object, the score on the given scale, higher is better."""
        try:
            if path is None:
                raise Refused("There is no image in this call: upload one and send its path.")
            image = open_image_named(Path(path))
            assessment = scorers.get(settings.model).assess([image], [Path(path).name])[0]
            if browser := known_browser(request):
                note_shown(annotations, "api", browser, [(file_sha256(path), assessment)])
            return assessment.to_dict()
        except FAULTS as error:
            raise gr.Error(str(error), print_exception=False) from error

    trigger.click(score, file, answer, api_name="score")
