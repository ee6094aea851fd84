"""The Rate tab: a person says what they think of a picture before the model's score is shown."""

from dataclasses import dataclass, fields
from pathlib import Path

import gradio as gr

from annotations import Annotations, Rating, ShownScore
from app import cards
from app.errors import failed, says_errors, warn
from app.pictures import example_files, file_uri
from app.readings import WORDS, level_word
from app.scorers import Scorers
from app.session import Session, shown_score
from app.settings import EXAMPLES
from app.waiting import Waiting
from model.errors import ModelError

KEEPING = (
    "A picture that you add is kept only when somebody rates it, and is then shown to other raters. "
    "Pictures that nobody rates are deleted within a day."
)
HOW = (
    "Judge the picture’s technical quality, not its subject. Keys <kbd>1</kbd> to <kbd>5</kbd> choose a word, "
    "<kbd>Enter</kbd> submits and goes on."
)


@dataclass
class Stage:
    """The components that show one picture and take one rating."""

    box: gr.Column
    progress: gr.HTML
    picture: gr.HTML
    vote: gr.Column
    word: gr.Radio
    value: gr.Slider
    submit: gr.Button
    reveal: gr.HTML
    next: gr.Button

    def all(self) -> list:
        return [getattr(self, field.name) for field in fields(self)]


class Desk:
    """What the tab does, on the ratings, the scorers and the pictures that wait."""

    def __init__(self, scorers: Scorers, annotations: Annotations, waiting: Waiting) -> None:
        self.scorers, self.annotations, self.waiting = scorers, annotations, waiting

    def add(self, paths: list[str], browser: dict) -> str:
        """Let pictures wait for a rating; returns what to say about it."""
        failures = self.waiting.add(browser["token"], paths)
        for failure in failures:
            warn(f"{failure.image}: {failure.error}")
        waiting = len(self.waiting.images(browser["token"]))
        said = f"{waiting} {'picture waits' if waiting == 1 else 'pictures wait'} for your rating. Give your name and start."
        return cards.notice(said) + cards.problems(failures) if waiting else cards.problems(failures)

    def start(self, name: str, visitor: Session, browser: dict) -> list:
        """Show the first picture that this rater has not rated. Raises AnnotationError for an unusable name."""
        self.annotations.progress(name)
        visitor.rater = name
        return self.present(visitor, browser)

    def present(self, visitor: Session, browser: dict) -> list:
        """The next picture of this rater, or that there is none."""
        if not visitor.rater:
            raise failed("Give your name and press Start first.")
        mine = self.waiting.images(browser["token"])
        progress = self.annotations.progress(visitor.rater, pending=mine)
        visitor.rating = self.annotations.next_image(visitor.rater, pending=mine)
        bar = cards.progress_bar(progress.done, progress.total)
        if visitor.rating is None:
            said = "All rated, thank you." if progress.total else "There is nothing to rate yet."
            return self._stage(bar, cards.empty(f"{said} Add pictures above, then press Start."), voting=False)
        path = mine.get(visitor.rating) or self.annotations.image_path(visitor.rating)
        note = ""
        if visitor.rating in visitor.shown:
            note = cards.notice(
                "You have seen the model’s score of this picture, so your rating is kept as given after it."
            )
        picture = f'<figure class="to-rate"><img src="{file_uri(path)}" alt="The picture to rate"></figure>{note}'
        return self._stage(bar, picture, voting=True)

    def submit(self, word: int | None, value: float, visitor: Session, browser: dict) -> list:
        """Keep the rating, then reveal what the model says. Raises AnnotationError."""
        if visitor.rating is None:
            raise failed("There is no picture to rate: press Start.")
        if word is None:
            raise failed("Choose one of the five words, or move the slider, before you submit.")
        sha256 = visitor.rating
        mine = self.waiting.images(browser["token"])
        kept = self.annotations.image_path(sha256)
        path = kept or mine.get(sha256)
        if path is None:
            raise failed("This picture was cleared away before it was rated: add it again.")
        shown = self._score(path, visitor)
        before = visitor.shown.get(sha256)
        rating = self.annotations.record_rating(
            visitor.rater,
            sha256 if kept else path.read_bytes(),
            value,
            seen="score" if before else "nothing",
            suffix=path.suffix,
            shown=before or shown,
        )
        if shown:
            visitor.shown[sha256] = shown
        visitor.rating = None
        progress = self.annotations.progress(visitor.rater, pending=mine)
        return self._revealed(cards.progress_bar(progress.done, progress.total), _reveal(rating, shown))

    def _score(self, path: Path, visitor: Session) -> ShownScore | None:
        """The score to reveal; without one the rating still counts."""
        try:
            outcome = next(self.scorers.get(visitor.spec).assess_files([path]))
            return shown_score(outcome)
        except ModelError as error:
            warn(str(error))
            return None

    def _stage(self, progress: str, picture: str, voting: bool) -> list:
        return [
            gr.Column(visible=True),
            progress,
            picture,
            gr.Column(visible=voting),
            gr.Radio(value=None, interactive=True),
            gr.Slider(value=3, interactive=True),
            gr.Button(visible=True),
            "",
            gr.Button(visible=False),
        ]

    def _revealed(self, progress: str, reveal: str) -> list:
        return [
            gr.skip(),
            progress,
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
            added = gr.HTML()
            gr.HTML(f'<p class="small">{KEEPING}</p>')
        with gr.Column(scale=7, min_width=320):
            stage = _stage()
    _wire(session, browser, rater, desk, start, files, examples, added, stage)


def _stage() -> Stage:
    with gr.Column(elem_id="rate-stage") as box:
        progress = gr.HTML()
        picture = gr.HTML(
            cards.empty("You rate each picture before you see what the model says. Give your name and press Start."),
            elem_id="rate-picture",
        )
        with gr.Column(visible=False, elem_classes="panel") as vote:
            word = gr.Radio(
                [(name, n) for n, name in enumerate(WORDS, start=1)],
                label="How good is this picture?",
                elem_id="rate-word",
            )
            value = gr.Slider(
                1, 5, value=3, step=0.1, buttons=[], label="Finer, from 1 (bad) to 5 (excellent)", elem_id="rate-value"
            )
            submit = gr.Button("Submit rating", variant="primary", elem_id="rate-submit")
            reveal = gr.HTML(elem_id="rate-reveal")
            following = gr.Button("Next picture", variant="primary", visible=False, elem_id="rate-next")
            gr.HTML(f'<p class="small">{HOW}</p>')
    return Stage(box, progress, picture, vote, word, value, submit, reveal, following)


def _wire(session, browser, rater, desk: Desk, start, files, examples, added, stage: Stage) -> None:
    """Tie the components to the desk."""
    private = {"api_visibility": "private"}

    @says_errors
    def begin(name: str, visitor: Session, known: dict):
        shown = desk.start(name, visitor, known)
        return [known | {"rater": name.strip()}, *shown]

    @says_errors
    def add(paths: list[str] | None, known: dict):
        return desk.add(paths, known) if paths else ""

    for event in (start.click, rater.submit):
        event(begin, [rater, session, browser], [browser, *stage.all()], show_progress_on=[stage.picture], **private)
    files.upload(add, [files, browser], added, **private)
    examples.click(
        lambda known: desk.add([str(path) for path in example_files(EXAMPLES)], known), browser, added, **private
    )
    stage.submit.click(
        says_errors(desk.submit),
        [stage.word, stage.value, session, browser],
        stage.all(),
        show_progress="minimal",
        **private,
    )
    stage.next.click(says_errors(desk.present), [session, browser], stage.all(), show_progress="minimal", **private)
    # In the browser alone, so that the slider does not stutter: a word moves the slider, the slider chooses its word.
    stage.word.input(None, stage.word, stage.value, js="(word) => word", **private)
    stage.value.input(
        None, stage.value, stage.word, js="(value) => Math.min(5, 1 + Math.floor((value - 1) / 0.8 + 1e-9))", **private
    )


def _reveal(rating: Rating, shown: ShownScore | None) -> str:
    """What the rater said beside what the model says."""
    mine = f"<div><span>You</span><strong>{rating.value:.1f}</strong><em>{level_word(rating.value, rating.scale)}</em></div>"
    if shown is None:
        return f'<div class="reveal" role="status">{mine}<p>Kept. The model’s score is not available.</p></div>'
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
