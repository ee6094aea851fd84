"""The Score tab: pictures in, and videos where the model takes them; scores with their distributions out, and room to disagree."""

from dataclasses import dataclass

import gradio as gr

from annotations import Annotations
from app import cards, disagreement, figures, stale
from app.errors import FAULTS, says_errors
from app.intake import PICK, picture_input
from app.model_picker import shows
from app.naming import short
from app.pictures import THUMBNAIL_SIDE, file_uri, is_video
from app.scorers import Scorers
from app.scoring import VIDEO, csv_file, each_once, invitation, score_files
from app.session import Session
from app.settings import Settings
from model.assessment import Failure
from model.registry import QUALITY

NOTHING_YET = "Drop a photograph, paste one, or pick an example: its score appears here."
ASKED = [("Quality: sharpness, noise, exposure", QUALITY), ("Aesthetics: how beautiful it is", "aesthetics")]


@dataclass(frozen=True)
class Desk:
    """What scores, and where: on a public page no visitor is sent to a model that they cannot pick."""

    settings: Settings
    scorers: Scorers

    def offer(self, visitor: Session) -> list:
        """The file input's label and the choice of what is asked for, by what the model in use knows."""
        known = self.scorers.tasks(visitor.spec)
        return [gr.File(label=label(VIDEO in known)), gr.Radio(visible=ASKED[1][1] in known, value=QUALITY)]

    def score(self, paths: list[str], task: str, visitor: Session, progress: gr.Progress) -> list:
        """Score files, showing how far it is; one that cannot be read gives its sentence and the rest goes on."""
        if not paths:
            visitor.scored, visitor.drawn["score"] = [], visitor.spec
            return ["", *stale.notice("score", visitor), *self._results(visitor, [])]
        paths = each_once(paths)
        progress(0, desc="Loading the model")
        scorer = self.scorers.get(visitor.spec, shows(progress, visitor.spec))
        known = self.scorers.tasks(visitor.spec)
        waiting = [path for path in paths if is_video(path) and VIDEO not in known]
        taken = [path for path in paths if path not in waiting]
        visitor.scored, visitor.drawn["score"], failures = [], visitor.spec, []
        asked = task if task in known else QUALITY
        for done, outcome in enumerate(score_files(scorer, taken, asked), start=1):
            if isinstance(outcome, Failure):
                failures.append(outcome)
            else:
                visitor.scored.append(outcome)
                if outcome.task == QUALITY:
                    visitor.note_shown(outcome.path, outcome.assessment)
            progress((done, len(taken)), desc="Scoring", unit=f"{cards.kind(taken)}s")
        said = cards.notice(invitation(waiting, short(scorer.name), self.settings.public)) if waiting else ""
        return [
            said + cards.problems(failures),
            *stale.notice("score", visitor),
            *self._results(visitor, failures),
        ]

    def _results(self, visitor: Session, failures: list[Failure]) -> list:
        """The table of several results, the choice among them and their CSV, and the first one in detail."""
        results = visitor.scored
        several = len(results) > 1
        table = cards.results_table(results, [file_uri(s.path, THUMBNAIL_SIDE) for s in results]) if several else ""
        choices = [(f"{s.name}: {s.assessment.score:.2f}", n) for n, s in enumerate(results)]
        return [
            table,
            gr.Row(visible=several),
            gr.Dropdown(choices=choices, value=0 if results else None),
            csv_file(results, failures) if several else None,
            *show_detail(visitor, 0),
        ]


def label(videos: bool) -> str:
    return "Pictures or videos: drop, choose or paste" if videos else "Pictures to score: drop, choose or paste"


def show_detail(visitor: Session, index: int) -> list:
    """Card, chart, words and the way to disagree about a picture's quality, for one of the results; nothing where there is none."""
    if not visitor.scored:
        return [cards.empty(NOTHING_YET), gr.Plot(None, visible=False), "", *disagreement.anew(visible=False)]
    scored = visitor.scored[index]
    return [
        cards.score_card(scored, file_uri(scored.path)),
        gr.Plot(figures.distribution(scored.assessment, scored.task), visible=True),
        cards.chart_words([("", scored.assessment)], "score-chart-words") + cards.explanation(),
        *disagreement.anew(visible=scored.task == QUALITY),
    ]


def build(
    session: gr.State, desk: Desk, annotations: Annotations, rater: gr.Textbox, header: gr.HTML, page: gr.Blocks
) -> None:
    """Put the tab's components on the page and tie them to what they do. `header` changes with the scorer in use."""
    with gr.Row(elem_classes="two-columns"):
        with gr.Column(scale=4, min_width=300):
            task = gr.Radio(ASKED, value=QUALITY, label="What to judge", visible=False, elem_id="score-task")
            files = picture_input(label(False), "score-files", many=True, videos=True)
            with gr.Accordion("Use the camera", open=False):
                camera = gr.Image(
                    sources=["webcam"],
                    type="filepath",
                    image_mode=None,
                    show_label=False,
                    height=240,
                    elem_id="score-camera",
                )
        with gr.Column(scale=7, min_width=320):
            alert = gr.HTML(elem_id="score-alert")
            notice, again = stale.build("score", "Score again", session, header)
            table = gr.HTML(js_on_load=PICK, elem_id="score-table")
            with gr.Row(visible=False) as many:
                chosen = gr.Dropdown(label="Look closer at", elem_id="score-chosen", scale=3, min_width=240)
                download = gr.DownloadButton("Download CSV", scale=1, elem_id="score-csv")
            card = gr.HTML(cards.empty(NOTHING_YET), elem_id="score-card")
            chart = gr.Plot(visible=False, show_label=False, elem_id="score-chart", elem_classes="chart")
            words = gr.HTML()
            own = disagreement.build(session, annotations, rater, chosen)

    detail = [card, chart, words, *own.all()]
    outputs = [alert, *notice, table, many, chosen, download, *detail]
    _wire_scoring(session, desk, files, task, again, outputs, card)
    _wire_detail(session, chosen, table, detail)
    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    camera.input(lambda path: [path] if path else None, camera, files, **quiet)
    for event in (page.load, header.change):
        event(desk.offer, session, [files, task], **quiet)


def _wire_scoring(session, desk: Desk, files, task, again: gr.Button, outputs: list, card: gr.HTML) -> None:
    """Files to scores; a model that cannot be used says so above what was there before, with the button to try again."""
    alert, row, said = outputs[:3]

    def score(paths: list[str] | None, asked: str, visitor: Session, progress=gr.Progress()):
        try:
            return desk.score(paths or [], asked, visitor, progress)
        except FAULTS as error:
            return {alert: cards.refusal(str(error)), row: gr.Row(visible=True), said: ""}

    for event in (files.change, task.input, again.click):
        event(
            score,
            [files, task, session],
            outputs,
            show_progress_on=[card],
            api_visibility="private",
        )


def _wire_detail(session, chosen: gr.Dropdown, table: gr.HTML, detail: list) -> None:
    """One result in detail, chosen from the list or pressed in the table."""

    @says_errors
    def look(index: int | None, visitor: Session):
        return show_detail(visitor, index or 0)

    @says_errors
    def pick(event: gr.EventData, visitor: Session):
        return [int(event.picked), *show_detail(visitor, int(event.picked))]

    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    chosen.input(look, [chosen, session], detail, **quiet)
    picked = table.click(pick, session, [chosen, *detail], **quiet)
    picked.then(None, js="() => document.getElementById('score-card').scrollIntoView({ block: 'nearest' })", **quiet)
