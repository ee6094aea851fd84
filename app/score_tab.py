"""The Score tab: pictures in, scores with their distributions out, and room to disagree."""

import csv
import tempfile
from dataclasses import fields
from pathlib import Path

import gradio as gr

from annotations import Annotations
from app import cards, disagreement, figures
from app.errors import FAULTS, says_errors
from app.intake import PICK, picture_input
from app.pictures import THUMBNAIL_SIDE, file_uri
from app.scorers import Scorers
from app.session import Session
from model.assessment import Assessment, Failure

NOTHING_YET = "Drop a photograph, paste one, or pick an example: its score appears here."


def build(session: gr.State, scorers: Scorers, annotations: Annotations, rater: gr.Textbox, header: gr.HTML) -> None:
    """Put the tab's components on the page and tie them to what they do. `header` changes with the scorer in use."""
    with gr.Row(elem_classes="two-columns"):
        with gr.Column(scale=4, min_width=300):
            files = picture_input("Pictures to score: drop, choose or paste", "score-files", many=True)
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
            with gr.Row(visible=False, elem_id="score-stale") as stale:
                by = gr.HTML()
                again = gr.Button("Score again", size="sm", scale=0, min_width=140, elem_id="score-again")
            table = gr.HTML(js_on_load=PICK, elem_id="score-table")
            with gr.Row(visible=False) as many:
                chosen = gr.Dropdown(label="Look closer at", elem_id="score-chosen", scale=3)
                download = gr.DownloadButton("Download CSV", scale=1, elem_id="score-csv")
            card = gr.HTML(cards.empty(NOTHING_YET), elem_id="score-card")
            chart = gr.Plot(visible=False, show_label=False, elem_id="score-chart", elem_classes="chart")
            words = gr.HTML()
            own = disagreement.build(session, annotations, rater, chosen)

    detail = [card, chart, words, *own.all()]
    outputs = [alert, stale, by, table, many, chosen, download, *detail]

    def score(paths: list[str] | None, visitor: Session, progress=gr.Progress()):
        try:
            return score_pictures(paths or [], visitor, scorers, progress)
        except FAULTS as error:
            return {alert: cards.refusal(str(error)), stale: gr.Row(visible=True), by: ""}

    @says_errors
    def look(index: int | None, visitor: Session):
        return show_detail(visitor, index or 0)

    @says_errors
    def pick(event: gr.EventData, visitor: Session):
        return [int(event.picked), *show_detail(visitor, int(event.picked))]

    private = {"api_visibility": "private"}
    for event in (files.change, again.click):
        event(
            score,
            [files, session],
            outputs,
            show_progress_on=[card],
            concurrency_limit=2,
            concurrency_id="model",
            **private,
        )
    header.change(scored_by_another, session, [stale, by], show_progress="hidden", **private)
    camera.input(lambda path: [path] if path else None, camera, files, **private)
    chosen.input(look, [chosen, session], detail, show_progress="hidden", **private)
    picked = table.click(pick, session, [chosen, *detail], show_progress="hidden", **private)
    picked.then(None, js="() => document.getElementById('score-card').scrollIntoView({ block: 'nearest' })", **private)


def scored_by_another(visitor: Session) -> list:
    """Whether the scores on show are of another model than the one in use, in words, with the button that scores again."""
    by = visitor.scored[0][1].model if visitor.scored else visitor.spec
    said = f"Scored by {by}; {visitor.spec} is in use now."
    return [gr.Row(visible=by != visitor.spec), cards.notice(said)]


def score_pictures(paths: list[str], visitor: Session, scorers: Scorers, progress: gr.Progress) -> list:
    """Score files, showing how far it is; one that cannot be read gives its sentence and the rest goes on."""
    if not paths:
        visitor.scored = []
        return [
            "",
            gr.Row(visible=False),
            "",
            "",
            gr.Row(visible=False),
            gr.Dropdown(choices=[], value=None),
            None,
            *_no_detail(),
        ]
    progress(0, desc="Loading the model")
    scorer, failures = scorers.get(visitor.spec), []
    visitor.scored = []
    for done, outcome in enumerate(scorer.assess_files(paths), start=1):
        if isinstance(outcome, Failure):
            failures.append(outcome)
        else:
            visitor.scored.append((Path(outcome.image), outcome))
            visitor.note_shown(Path(outcome.image), outcome)
        progress((done, len(paths)), desc="Scoring", unit="pictures")
    results = visitor.scored
    several = len(results) > 1
    table = cards.results_table(results, [file_uri(path, THUMBNAIL_SIDE) for path, _ in results]) if several else ""
    choices = [(f"{path.name}: {a.score:.2f}", n) for n, (path, a) in enumerate(results)]
    return [
        cards.problems(failures),
        *scored_by_another(visitor),
        table,
        gr.Row(visible=several),
        gr.Dropdown(choices=choices, value=0 if results else None),
        write_csv([a for _, a in results], failures) if several else None,
        *(show_detail(visitor, 0) if results else _no_detail()),
    ]


def show_detail(visitor: Session, index: int) -> list:
    """Card, chart, words and the way to disagree, for one of the scored pictures."""
    if not visitor.scored:
        return _no_detail()
    path, assessment = visitor.scored[index]
    return [
        cards.score_card(assessment, file_uri(path), path.name, assessment.model),
        gr.Plot(figures.distribution(assessment), visible=True),
        cards.chart_words([("", assessment)], "score-chart-words") + cards.explanation(),
        *disagreement.anew(visible=True),
    ]


def _no_detail() -> list:
    return [cards.empty(NOTHING_YET), gr.Plot(None, visible=False), "", *disagreement.anew(visible=False)]


def write_csv(assessments: list[Assessment], failures: list[Failure]) -> str:
    """A CSV with the columns of `python -m model.score --format csv`, image by file name; returns its path."""
    columns = [field.name for field in fields(Assessment)] + ["error"]
    folder = Path(tempfile.mkdtemp(prefix="scores-"))
    with (folder / "scores.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for outcome in [*assessments, *failures]:
            row = outcome.to_dict() | {"image": Path(outcome.image).name}
            writer.writerow(
                {key: " ".join(map(str, value)) if isinstance(value, tuple) else value for key, value in row.items()}
            )
    return str(folder / "scores.csv")
