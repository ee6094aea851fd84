"""The Rate tab: a person says what they think of a picture before the model's score is shown."""

from dataclasses import dataclass, fields
from pathlib import Path

import gradio as gr

from annotations import Annotations, Rating, ShownScore
from app import cards
from app.errors import Refused, says_beside, says_errors
from app.naming import file_name
from app.opinion import NO_CHOICE, opinion_input
from app.pictures import example_files, file_uri
from app.readings import level_word
from app.scorers import Scorers
from app.session import Session, shown_score
from app.settings import EXAMPLES
from app.waiting import Waiting
from model.assessment import Failure
from model.errors import ImageError, ModelError

KEEPING = (
    "A picture that you add is kept only when somebody rates it, and is then shown to other raters. "
    "Until then it is here for this browser only, and for a day at most."
)
NOTHING_LEFT = (
    "You have rated every picture that is here, thank you. Pictures that nobody rated are not here if they were added in another "
    "browser or more than a day ago. To go on, add pictures and press Start rating."
)
NOTHING_YET = "There is nothing to rate yet. Add pictures, then press Start rating."
HOW = (
    "Judge the picture’s technical quality, not its subject. Keys <kbd>1</kbd> to <kbd>5</kbd> choose a word, "
    "<kbd>Enter</kbd> submits and goes on."
)


@dataclass
class Stage:
    """The components that show one picture and take one rating; `unrated` says which added pictures still wait."""

    unrated: gr.HTML
    progress: gr.HTML
    picture: gr.HTML
    vote: gr.Column
    word: gr.Radio
    value: gr.Slider
    submit: gr.Button
    reveal: gr.HTML
    next: gr.Button
    said: gr.HTML

    def all(self) -> list:
        return [getattr(self, field.name) for field in fields(self)]


class Desk:
    """What the tab does, on the ratings, the scorers and the pictures that wait."""

    def __init__(self, scorers: Scorers, annotations: Annotations, waiting: Waiting) -> None:
        self.scorers, self.annotations, self.waiting = scorers, annotations, waiting

    def add(self, paths: list[str], browser: dict) -> list[str]:
        """Let pictures wait for a rating; returns what cannot be read, and what waits."""
        failures = self.waiting.add(browser["token"], paths)
        return [cards.problems(failures, "rated"), unrated_notice(self.unrated(browser))]

    def unrated(self, browser: dict) -> int:
        """How many pictures of this browser nobody has rated."""
        return sum(self.annotations.image_path(sha256) is None for sha256 in self.waiting.images(browser["token"]))

    def start(self, name: str, visitor: Session, browser: dict) -> list:
        """Show the first picture that this rater has not rated. Raises AnnotationError for an unusable name."""
        self.annotations.progress(name)
        visitor.rater = name
        return self.present(visitor, browser)

    def present(self, visitor: Session, browser: dict) -> list:
        """The next picture of this rater, or that there is none."""
        if not visitor.rater:
            raise Refused("Give your name and press Start rating first.")
        mine = self.waiting.images(browser["token"])
        progress = self.annotations.progress(visitor.rater, pending=mine)
        visitor.rating = self.annotations.next_image(visitor.rater, pending=mine)
        unrated = self.unrated(browser)
        top = [unrated_notice(unrated), cards.progress_bar(progress.done, progress.total, unrated)]
        if visitor.rating is None:
            said = NOTHING_LEFT if progress.total else NOTHING_YET
            return [*top, *self._stage(_turn(visitor, cards.empty(said)), voting=False)]
        path = mine.get(visitor.rating) or self.annotations.image_path(visitor.rating)
        note = ""
        if visitor.rating in visitor.shown:
            note = cards.notice(
                "You have seen the model’s score of this picture, so your rating is kept as given after it."
            )
        picture = f'<figure class="to-rate"><img src="{file_uri(path)}" alt="The picture to rate"></figure>{note}'
        return [*top, *self._stage(_turn(visitor, picture), voting=True)]

    def submit(self, word: int | None, value: float, visitor: Session, browser: dict) -> list:
        """Keep the rating, then reveal what the model says. Raises AnnotationError."""
        if visitor.rating is None:
            raise Refused("There is no picture to rate: press Start rating.")
        if word is None:
            raise Refused(NO_CHOICE)
        sha256 = visitor.rating
        mine = self.waiting.images(browser["token"])
        kept = self.annotations.image_path(sha256)
        path = kept or mine.get(sha256)
        if path is None:
            raise Refused("This picture was cleared away before it was rated: add it again.")
        try:
            shown, why = self._score(path, visitor), ""
        except ModelError as error:  # the rating counts without a score
            shown, why = None, str(error)
        before = visitor.shown.get(sha256)
        rating = self.annotations.record_rating(
            visitor.rater,
            sha256 if kept else path.read_bytes(),
            value,
            seen="score" if before else "nothing",
            suffix=path.suffix,
            shown=before or shown,
            name=file_name(path),
        )
        if shown:
            visitor.shown[sha256] = shown
        visitor.rating = None
        progress, unrated = self.annotations.progress(visitor.rater, pending=mine), self.unrated(browser)
        return [
            unrated_notice(unrated),
            cards.progress_bar(progress.done, progress.total, unrated),
            *self._revealed(_turn(visitor, _reveal(rating, shown, why))),
        ]

    def _score(self, path: Path, visitor: Session) -> ShownScore:
        """The score to reveal. Raises ModelError."""
        outcome = next(self.scorers.get(visitor.spec).assess_files([path]))
        if isinstance(outcome, Failure):
            raise ImageError(outcome.error)
        return shown_score(outcome)

    def _stage(self, picture: str, voting: bool) -> list:
        return [
            picture,
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
            gr.Radio(interactive=False),
            gr.Slider(interactive=False),
            gr.Button(visible=False),
            reveal,
            gr.Button(visible=True),
        ]


def build(session: gr.State, browser: gr.BrowserState, rater: gr.Textbox, desk: Desk) -> None:
    """Put the tab on the page. `rater` is the name's text box, made beforehand because other tabs follow it."""
    with gr.Row(elem_classes="two-columns"):
        with gr.Column(scale=4, min_width=300):
            with gr.Column(elem_classes="panel"):
                gr.HTML("<h3>Who rates?</h3><p>With the same name you go on where you stopped.</p>")
                rater.render()
                refused = gr.HTML(elem_id="rate-refused")
                start = gr.Button("Start rating", variant="primary", elem_id="rate-start")
            files = gr.File(
                label="Add pictures to rate: drop, choose or paste",
                file_count="multiple",
                file_types=["image"],
                height=150,
                elem_id="rate-files",
                elem_classes="intake",
            )
            examples = gr.Button("Add the example pictures", size="sm", elem_id="rate-examples")
            problems, unrated = gr.HTML(), gr.HTML(elem_id="rate-unrated")
            gr.HTML(f'<p class="small">{KEEPING}</p>')
        with gr.Column(scale=7, min_width=320):
            stage = _stage(unrated)
    _wire_start(session, browser, rater, desk, start, refused, stage)
    _wire_pictures(browser, desk, files, examples, problems, stage)
    _wire_vote(session, browser, desk, stage)


def _stage(unrated: gr.HTML) -> Stage:
    with gr.Column(elem_id="rate-stage"):
        progress = gr.HTML()
        picture = gr.HTML(
            cards.empty(
                "You rate each picture before you see what the model says. Give your name and press Start rating."
            ),
            elem_id="rate-picture",
        )
        with gr.Column(visible=False, elem_classes="panel") as vote:
            word, value = opinion_input("How good is this picture?", "rate")
            said = gr.HTML(elem_id="rate-said")
            submit = gr.Button("Submit rating", variant="primary", elem_id="rate-submit")
            reveal = gr.HTML(elem_id="rate-reveal")
            following = gr.Button("Next picture", variant="primary", visible=False, elem_id="rate-next")
            gr.HTML(f'<p class="small">{HOW}</p>')
    return Stage(unrated, progress, picture, vote, word, value, submit, reveal, following, said)


def _wire_start(session, browser, rater, desk: Desk, start, refused: gr.HTML, stage: Stage) -> None:
    """A name, then the first picture; what is wrong with the name is said beside it."""

    @says_beside(refused)
    def begin(name: str, visitor: Session, known: dict):
        shown = desk.start(name, visitor, known)
        return [known | {"rater": name.strip()}, *shown, ""]

    for event in (start.click, rater.submit):
        event(
            begin,
            [rater, session, browser],
            [browser, *stage.all(), refused],
            show_progress_on=[stage.picture],
            api_visibility="private",
        )


def _wire_pictures(browser, desk: Desk, files: gr.File, examples: gr.Button, problems: gr.HTML, stage: Stage) -> None:
    """Pictures and examples that wait to be rated."""

    @says_errors
    def add(paths: list[str] | None, known: dict):
        return desk.add(paths or [], known)

    @says_errors
    def add_examples(known: dict):
        return desk.add([str(path) for path in example_files(EXAMPLES)], known)

    outputs = [problems, stage.unrated]
    files.upload(add, [files, browser], outputs, api_visibility="private")
    examples.click(add_examples, browser, outputs, api_visibility="private")


def _wire_vote(session, browser, desk: Desk, stage: Stage) -> None:
    """A vote, and on to the next picture; what is missing is said beside the button."""
    beside = says_beside(stage.said)
    common = {"outputs": stage.all(), "show_progress": "minimal", "api_visibility": "private"}
    stage.submit.click(beside(desk.submit), [stage.word, stage.value, session, browser], **common)
    stage.next.click(beside(desk.present), [session, browser], **common)


def unrated_notice(count: int) -> str:
    """That pictures of this browser wait, and what becomes of them."""
    if not count:
        return ""
    said = f"{count} pictures that you added are" if count > 1 else "1 picture that you added is"
    return cards.notice(f"{said} not rated by anybody yet: here for this browser only, and for a day at most.")


def _turn(visitor: Session, html: str) -> str:
    """What the tab shows next; by the number, page.js sees that it is new and moves focus there."""
    visitor.turns += 1
    return f'<div data-turn="{visitor.turns}">{html}</div>'


def _reveal(rating: Rating, shown: ShownScore | None, why: str) -> str:
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
