"""On the Rate tab: the images that a visitor added, and the way to take one back."""

from collections.abc import Callable
from html import escape
from pathlib import Path

import gradio as gr

from annotations import Annotations
from app import cards
from app.browser import browser_of
from app.errors import Refused, says_errors
from app.image_input import PICK, picked
from app.pending_images import Waiting
from app.shown_images import THUMBNAIL_SIDE, file_uri
from app.shown_names import file_name
from app.who import Who
from model.common.errors import ImageError

MOST = 60  # the newest are shown
WHAT_FOR = (
    "Taking an image back deletes its file here, for everybody. Ratings of it stay, with its SHA-256, but count in no mean "
    "and train no model."
)


class AddedImages:
    """What this visitor added: what waits in this browser, and what is kept since they rated it here, or under the name that they are
    signed in with."""

    def __init__(self, annotations: Annotations, waiting: Waiting, who: Who) -> None:
        self.annotations, self.waiting, self.who = annotations, waiting, who

    def of(self, request: gr.Request) -> dict[str, Path]:
        """sha256 and file."""
        browser = browser_of(request)
        return self.waiting.images(browser) | self.annotations.added_by(browser, self.who.shown_name(request))

    def listed(self, request: gr.Request) -> str:
        """Each as a thumbnail with its button."""
        mine = list(self.of(request).items())[:MOST]
        if not mine:
            return cards.empty("You have added no images here, in this browser or under your signed-in name.")
        return f'<div class="added">{"".join(_figure(sha256, path) for sha256, path in mine)}</div>'

    def take_back(self, sha256: str, request: gr.Request) -> None:
        """Raises Refused, AnnotationError for an image that is not this visitor's."""
        if sha256 not in self.of(request):
            raise Refused("This is not an image that you added: only who added one can take it back.")
        browser = browser_of(request)
        self.waiting.remove(browser, sha256)
        if self.annotations.kept([sha256]):
            self.annotations.take_back(sha256, browser=browser, rater=self.who.shown_name(request))


def build(added: AddedImages, after: Callable[[gr.Request], str], unrated: gr.HTML) -> None:
    """Put the list on the page. `after` says how many images wait still, in `unrated`."""
    with gr.Accordion("Images that you added", open=False, elem_id="rate-added") as folded:
        mine = gr.HTML(js_on_load=PICK, elem_id="rate-added-list")
        gr.HTML(f'<p class="small">{WHAT_FOR}</p>')

    def show(request: gr.Request) -> str:
        return added.listed(request)

    @says_errors
    def take_back(event: gr.EventData, request: gr.Request):
        added.take_back(picked(event), request)
        return [added.listed(request), after(request)]

    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    folded.expand(says_errors(show), None, mine, **quiet)
    mine.click(take_back, None, [mine, unrated], **quiet)


def _figure(sha256: str, path: Path) -> str:
    name = escape(file_name(path))
    try:
        image = f'<img src="{file_uri(path, THUMBNAIL_SIDE)}" alt="">'
    except ImageError:
        image = '<span class="gone">cannot be shown</span>'
    return f'<figure>{image}<button type="button" data-key="{sha256}" aria-label="Take {name} back">Take back</button></figure>'
