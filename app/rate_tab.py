"""The Rate tab: a person says what they think of an image before the model's score is shown."""

import time
from dataclasses import dataclass, fields
from html import escape
from pathlib import Path

import gradio as gr

from annotations import DEFAULT_STUDY, AnnotationError, Annotations, Rating, ShownScore, clean_name
from app import added_images, cards
from app.browser import browser_of
from app.environment import say
from app.errors import Refused, says_beside, says_errors
from app.loaded_scorers import Scorers
from app.pending_images import Waiting
from app.rating_input import NO_CHOICE, rating_input
from app.score_in_words import level_word
from app.session import Session, shown_score
from app.settings import EXAMPLES
from app.shown_images import example_files, image_uri
from app.shown_names import file_name
from app.who import Who
from model.common.errors import ImageError, ModelError
from model.images.decoding import open_image
from model.images.formats import image_kind
from model.scoring.assessment import Failure

KEEPING = (
    "An image that you add is kept only when you rate it, and shown to others only if you allow it above. "
    "Until then it is here for this browser only, and for a day at most."
)
NOTHING_LEFT = (
    "You have rated every image that is here, thank you. Images that nobody rated are not here if they were added in another "
    "browser or more than a day ago. To go on, add images and press Start rating."
)
NOTHING_YET = "There is nothing to rate yet. Add images, then press Start rating."
SKIPPED = "Images that cannot be shown are skipped, here {}; the owner of this page is told."
SEEN = "You have seen the model’s score of this image, or it was shown in this browser, so your rating is kept as given after it."
HOW = (
    "Judge the image’s technical quality, not its subject. Keys <kbd>1</kbd> to <kbd>5</kbd> choose a word, "
    "<kbd>Enter</kbd> submits and goes on."
)


@dataclass
class Stage:
    """The components that show one image and take one rating; `unrated` says which added images still wait, `key` is that of the
    presentation on screen, which every event carries."""

    unrated: gr.HTML
    progress: gr.HTML
    image: gr.HTML
    key: gr.Textbox
    vote: gr.Column
    word: gr.Radio
    value: gr.Slider
    submit: gr.Button
    reveal: gr.HTML
    next: gr.Button
    said: gr.HTML

    def all(self) -> list:
        return [getattr(self, field.name) for field in fields(self)]


class RateTab:
    """What the tab does, on the ratings, the scorers and the images that wait. `browser` is that of app/browser.py."""

    def __init__(self, scorers: Scorers, annotations: Annotations, waiting: Waiting) -> None:
        self.scorers, self.annotations, self.waiting = scorers, annotations, waiting

    def add(self, paths: list[str], browser: str, shared: bool = True) -> list[str]:
        """Let images wait for a rating; returns what cannot be read, and what waits. shared: other raters may be shown them."""
        failures = self.waiting.add(browser, paths, shared)
        return [cards.problems(failures, "rated"), self.unrated(browser)]

    def unrated(self, browser: str) -> str:
        """What of a browser's images nobody has rated, in words."""
        return unrated_notice(self._unrated(self.waiting.images(browser)))

    def present(self, rater: str, visitor: Session, browser: str) -> list:
        """The next image of this rater, or that there is none. Raises AnnotationError for an unusable name."""
        mine = self.waiting.images(browser)
        sha256, uri, skipped = self._next(rater, mine)
        progress, unrated = self.annotations.progress(rater, pending=mine), self._unrated(mine)
        total, note = progress.total - len(skipped), cards.notice(SKIPPED.format(len(skipped))) if skipped else ""
        top = [unrated_notice(unrated), cards.progress_bar(progress.done, total, unrated)]
        if sha256 is None:
            visitor.presented = ""
            said = cards.empty(NOTHING_LEFT if total else NOTHING_YET)
            return [*top, *self._stage(_turn(said + note), "", voting=False)]
        study = DEFAULT_STUDY if self.waiting.is_shared(browser, sha256) else None
        given = self.annotations.present(rater, sha256, browser=browser, study=study)
        visitor.presented = given.key
        if given.seen == "score":
            note += cards.notice(SEEN)
        image = f'<figure class="to-rate"><img src="{uri}" alt="The image to rate"></figure>{note}'
        return [*top, *self._stage(_turn(image), given.key, voting=True)]

    def go_on(self, key: str, visitor: Session, browser: str) -> list:
        """The image after the one of this presentation, for the same rater. Raises AnnotationError."""
        return self.present(self.annotations.presentation(key, browser=browser).rater, visitor, browser)

    def submit(self, word: int | None, value: float, key: str, visitor: Session, browser: str) -> list:
        """Keep the rating of a presentation, then reveal what the model says. Raises AnnotationError."""
        if not key:
            raise Refused("There is no image to rate: press Start rating.")
        if word is None:
            raise Refused(NO_CHOICE)
        rating = self._keep(key, value, browser)
        shown, why = self._reveal(rating, visitor, browser)
        if visitor.presented not in ("", key):  # somebody pressed Start rating meanwhile: the page shows that now
            gr.Info(f"The rating that {escape(rating.rater)} gave before is kept.")
            return [gr.skip()] * (len(fields(Stage)) - 1)
        mine = self.waiting.images(browser)
        progress, unrated = self.annotations.progress(rating.rater, pending=mine), self._unrated(mine)
        return [
            unrated_notice(unrated),
            cards.progress_bar(progress.done, progress.total, unrated),
            *self._revealed(_turn(_revelation(rating, shown, why))),
        ]

    def _next(self, rater: str, mine: dict[str, Path]) -> tuple[str | None, str, dict[str, str]]:
        """sha256 and data URI of the next image that can be shown, and why those before it cannot: the owner is told."""
        skipped: dict[str, str] = {}
        while sha256 := self.annotations.next_image(rater, pending=mine, without=skipped):
            kept = self.annotations.image_path(sha256)
            path = mine[sha256] if sha256 in mine and not (kept and kept.is_file()) else kept
            try:
                return sha256, image_uri(open_image(path)), skipped
            except ImageError as error:
                skipped[sha256] = str(error)
                if self.annotations.note_problem(sha256, str(error)):
                    say(f"error: {path} cannot be shown to raters: {error}")
        return None, "", skipped

    def _keep(self, key: str, value: float, browser: str) -> Rating:
        """Keep a rating; the file of an image that waited goes with it, and puts right one that was lost."""
        sha256 = self.annotations.presentation(key, browser=browser).sha256
        path = self.waiting.images(browser).get(sha256)
        if path is None:
            if not self.annotations.kept([sha256]):
                raise Refused("This image was cleared away before it was rated: add it again.")
            return self.annotations.rate(key, value, browser=browser)
        try:
            data = path.read_bytes()
        except FileNotFoundError:  # the same rating, sent twice, has just kept it
            return self.annotations.rate(key, value, browser=browser)
        suffix = image_kind(data).suffix
        rating = self.annotations.rate(key, value, browser=browser, image=data, suffix=suffix, name=file_name(path))
        self.waiting.remove(browser, sha256)
        return rating

    def _unrated(self, mine: dict[str, Path]) -> int:
        """How many of a browser's images nobody has rated."""
        return len(mine) - len(self.annotations.kept(mine))

    def _reveal(self, rating: Rating, visitor: Session, browser: str) -> tuple[ShownScore | None, str]:
        """The score to reveal after a rating, which is kept whatever happens here; or why there is none."""
        try:
            shown = self._score(self.annotations.image_path(rating.sha256), visitor)
            self.annotations.note_exposures([(rating.sha256, shown)], place="rate", browser=browser, rater=rating.rater)
        except (ModelError, AnnotationError) as error:
            return None, str(error)
        return shown, ""

    def _score(self, path: Path, visitor: Session) -> ShownScore:
        """Raises ModelError."""
        outcome = next(self.scorers.get(visitor.spec).assess_files([path]))
        if isinstance(outcome, Failure):
            raise ImageError(outcome.error)
        return shown_score(outcome)

    def _stage(self, image: str, key: str, voting: bool) -> list:
        return [
            image,
            key,
            gr.Column(visible=voting),
            gr.Radio(value=None, interactive=True),
            gr.Slider(value=3, interactive=True),
            gr.Button(visible=True),
            "",
            gr.Button(visible=False),
        ]

    def _revealed(self, reveal: str) -> list:
        return [
            gr.skip(),
            gr.skip(),
            gr.skip(),
            gr.Radio(interactive=False),
            gr.Slider(interactive=False),
            gr.Button(visible=False),
            reveal,
            gr.Button(visible=True),
        ]


def build(session: gr.State, remembered: gr.BrowserState, rater: gr.Textbox, tab: RateTab, who: Who) -> None:
    """Put the tab on the page. `rater` is the name's text box, made beforehand because other tabs follow it; `remembered` keeps the
    name in the browser."""
    with gr.Row(elem_classes="two-columns"):
        with gr.Column(scale=4, min_width=300):
            with gr.Column(elem_classes="panel"):
                gr.HTML("<h3>Who rates?</h3><p>With the same name you go on where you stopped.</p>")
                rater.render()
                refused = gr.HTML(elem_id="rate-refused")
                start = gr.Button("Start rating", variant="primary", elem_id="rate-start")
            files = gr.File(
                label="Add images to rate: drop, choose or paste",
                file_count="multiple",
                file_types=["image"],
                height=150,
                elem_id="rate-files",
                elem_classes="intake",
            )
            shared = gr.Checkbox(
                label="Others may rate the images that I add",
                value=not who.settings.public,
                elem_id="rate-shared",
            )
            examples = gr.Button("Add the example images", size="sm", elem_id="rate-examples")
            problems, unrated = gr.HTML(), gr.HTML(elem_id="rate-unrated")
            gr.HTML(f'<p class="small">{KEEPING}</p>')
            added = added_images.AddedImages(tab.annotations, tab.waiting, who)
            added_images.build(added, lambda request: tab.unrated(browser_of(request)), unrated)
        with gr.Column(scale=7, min_width=320):
            stage = _stage(unrated)
    _wire_start(session, remembered, rater, tab, who, start, refused, stage)
    _wire_images(tab, files, shared, examples, problems, stage)
    _wire_rating(session, tab, who, stage)


def _stage(unrated: gr.HTML) -> Stage:
    with gr.Column(elem_id="rate-stage"):
        progress = gr.HTML()
        image = gr.HTML(
            cards.empty(
                "You rate each image before you see what the model says. Give your name and press Start rating."
            ),
            elem_id="rate-image",
        )
        key = gr.Textbox(visible=False)
        with gr.Column(visible=False, elem_classes="panel") as vote:
            word, value = rating_input("How good is this image?", "rate")
            said = gr.HTML(elem_id="rate-said")
            submit = gr.Button("Submit rating", variant="primary", elem_id="rate-submit")
            reveal = gr.HTML(elem_id="rate-reveal")
            following = gr.Button("Next image", variant="primary", visible=False, elem_id="rate-next")
            gr.HTML(f'<p class="small">{HOW}</p>')
    return Stage(unrated, progress, image, key, vote, word, value, submit, reveal, following, said)


def _wire_start(session, remembered, rater, tab: RateTab, who: Who, start, refused: gr.HTML, stage: Stage) -> None:
    """A name, then the first image; what is wrong with the name is said beside it."""

    @says_beside(refused)
    def begin(typed: str, visitor: Session, request: gr.Request):
        name = who.rater(request, typed)
        return [{"rater": clean_name(name)}, *tab.present(name, visitor, browser_of(request)), ""]

    for event in (start.click, rater.submit):
        event(
            begin,
            [rater, session],
            [remembered, *stage.all(), refused],
            show_progress_on=[stage.image],
            api_visibility="private",
        )


def _wire_images(tab: RateTab, files: gr.File, shared: gr.Checkbox, examples, problems: gr.HTML, stage: Stage) -> None:
    """Images and examples that wait to be rated."""

    @says_errors
    def add(paths: list[str] | None, others_too: bool, request: gr.Request):
        return tab.add(paths or [], browser_of(request), others_too)

    @says_errors
    def add_examples(request: gr.Request):
        return tab.add([str(path) for path in example_files(EXAMPLES)], browser_of(request))

    outputs = [problems, stage.unrated]
    files.upload(add, [files, shared], outputs, api_visibility="private")
    examples.click(add_examples, None, outputs, api_visibility="private")


def _wire_rating(session, tab: RateTab, who: Who, stage: Stage) -> None:
    """A rating, and on to the next image; what is missing is said beside the button. A presentation's key is no proof of who rates: the
    visitor has to be its rater still."""

    def check(key: str, request: gr.Request) -> None:
        if key:
            who.check_rater(request, tab.annotations.presentation(key, browser=browser_of(request)).rater)

    @says_beside(stage.said)
    def submit(word: int | None, value: float, key: str, visitor: Session, request: gr.Request):
        check(key, request)
        return tab.submit(word, value, key, visitor, browser_of(request))

    @says_beside(stage.said)
    def go_on(key: str, visitor: Session, request: gr.Request):
        check(key, request)
        return tab.go_on(key, visitor, browser_of(request))

    common = {"outputs": stage.all(), "show_progress": "minimal", "api_visibility": "private"}
    stage.submit.click(submit, [stage.word, stage.value, stage.key, session], **common)
    stage.next.click(go_on, [stage.key, session], **common)


def unrated_notice(count: int) -> str:
    """That images of this browser wait, and what becomes of them."""
    if not count:
        return ""
    said = f"{count} images that you added are" if count > 1 else "1 image that you added is"
    return cards.notice(f"{said} not rated by anybody yet: here for this browser only, and for a day at most.")


def _turn(html: str) -> str:
    """What the tab shows next; by the time, page.js sees that it is new and moves focus there."""
    return f'<div data-turn="{time.time_ns() // 1_000_000}">{html}</div>'


def _revelation(rating: Rating, shown: ShownScore | None, why: str) -> str:
    """What the rater said beside what the model says, or why it says nothing."""
    mine = f"<div><span>You</span><strong>{rating.value:.1f}</strong><em>{level_word(rating.value, rating.scale)}</em></div>"
    if shown is None:
        return (
            f'<div class="reveal" role="status">{mine}<p>Kept. There is no score to show: {cards.escape(why)}</p></div>'
        )
    low, high = shown.scale
    model = (
        f"<div><span>{cards.escape(shown.model)}</span><strong data-testid='revealed'>{shown.score:.2f}</strong>"
        f"<em>{level_word(shown.score, shown.scale)}</em></div>"
    )
    blind = "blind" if rating.seen == "nothing" else "after seeing the score"
    return (
        f'<div class="reveal" role="status">{mine}{model}'
        f"<p>Kept as a rating given {blind}. Scale of the score: {low:g}–{high:g}.</p></div>"
    )
