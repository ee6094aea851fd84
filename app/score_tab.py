"""The Score tab: images in, and videos where the model takes them; scores with their distributions out, and room to disagree."""

from dataclasses import dataclass

import gradio as gr

from annotations import Annotations
from app import cards, disagreement, figures, outdated_result, regions
from app.browser import browser_of
from app.errors import FAULTS, says_errors
from app.image_input import PICK, image_input, picked
from app.loaded_scorers import Scorers
from app.model_picker import shows
from app.score_files import VIDEO, csv_file, each_once, invitation, score_files
from app.session import Scored, Session, note_shown
from app.settings import Settings
from app.shown_images import THUMBNAIL_SIDE, file_uri, is_video
from app.shown_names import short
from app.who import Who
from model.backbones.spec import QUALITY
from model.scoring.assessment import Failure, common_score

NOTHING_YET = "Drop a photograph, paste one, or pick an example: its score appears here."
ASKED = [("Quality: sharpness, noise, exposure", QUALITY), ("Aesthetics: how beautiful it is", "aesthetics")]


@dataclass(frozen=True)
class ScoreTab:
    """What scores, and where: on a public page no visitor is sent to a model that they cannot pick."""

    settings: Settings
    scorers: Scorers
    annotations: Annotations
    who: Who

    def offer(self, visitor: Session) -> list:
        """The file input's label and the choice of what is asked for, by what the model in use knows."""
        known = self.scorers.tasks(visitor.spec)
        return [gr.File(label=label(VIDEO in known)), gr.Radio(visible=ASKED[1][1] in known, value=QUALITY)]

    def score(self, paths: list[str], task: str, visitor: Session, browser: str, progress: gr.Progress) -> list:
        """Score files, showing how far it is; one that cannot be read gives its sentence and the rest goes on. Until the new results
        are complete, `visitor.scored` stays what is on screen."""
        if not paths:
            visitor.scored, visitor.drawn["score"] = {}, visitor.spec
            return ["", *outdated_result.notice("score", visitor), *self._results([], [], visitor)]
        paths = each_once(paths)
        progress(0, desc="Loading the model")
        scorer = self.scorers.get(visitor.spec, shows(progress, visitor.spec))
        known = self.scorers.tasks(visitor.spec)
        waiting = [path for path in paths if is_video(path) and VIDEO not in known]
        taken = [path for path in paths if path not in waiting]
        by, results, failures = visitor.spec, [], []
        asked = task if task in known else QUALITY
        for done, outcome in enumerate(score_files(scorer, taken, asked, self.scorers.known), start=1):
            if isinstance(outcome, Failure):
                failures.append(outcome)
            else:
                results.append(outcome)
            progress((done, len(taken)), desc="Scoring", unit=f"{cards.kind(taken)}s")
        judged = [(scored.sha256, scored.assessment) for scored in results if scored.task == QUALITY]
        note_shown(self.annotations, "score", browser, judged)
        visitor.remember(results)
        visitor.drawn["score"] = by
        said = cards.notice(invitation(waiting, short(scorer.name), self.settings.public)) if waiting else ""
        return [
            said + cards.problems(failures),
            *outdated_result.notice("score", visitor),
            *self._results(results, failures, visitor),
        ]

    def _results(self, results: list[Scored], failures: list[Failure], visitor: Session) -> list:
        """The table of several results and the choice among them, both best first; their CSV; and the first one in detail."""
        several = len(results) > 1
        ordered = sorted(results, key=lambda scored: -common_score(scored.assessment.score, scored.assessment.scale))
        thumbnails = [file_uri(scored.path, THUMBNAIL_SIDE) for scored in ordered] if several else []
        return [
            cards.results_table(ordered, thumbnails) if several else "",
            gr.Row(visible=several),
            gr.Dropdown(
                choices=[(f"{s.name}: {s.assessment.score:.2f}", s.key) for s in ordered],
                value=results[0].key if results else None,
            ),
            csv_file(results, failures) if several else None,
            *show_detail(results[0] if results else None, visitor),
        ]


def label(videos: bool) -> str:
    return "Images or videos: drop, choose or paste" if videos else "Images to score: drop, choose or paste"


def show_detail(scored: Scored | None, visitor: Session) -> list:
    """Key, card, chart, words, the way to the Compare tab and the way to disagree, for one of the results; nothing where there is none."""
    if scored is None:
        hidden = [gr.Plot(None, visible=False), "", gr.Button(visible=False)]
        return ["", cards.empty(NOTHING_YET), *hidden, *regions.anew(None), *disagreement.anew(visible=False)]
    return [
        scored.key,
        cards.score_card(scored, file_uri(scored.path), visitor.own(scored)),
        gr.Plot(figures.distribution(scored.assessment, scored.task), visible=True),
        cards.numbers(scored.assessment)
        + cards.chart_words([("", scored.assessment)], "score-chart-words")
        + cards.explanation(),
        gr.Button(visible=not is_video(scored.path)),
        *regions.anew(scored),
        *disagreement.anew(visible=scored.task == QUALITY),
    ]


@dataclass(frozen=True)
class Ends:
    """Where an image enters the tab and where it leaves for another: the key of the result on screen, and the button."""

    files: gr.File
    on_screen: gr.Textbox
    leave: gr.Button


def build(session: gr.State, tab: ScoreTab, rater: gr.Textbox, header: gr.HTML, page: gr.Blocks) -> Ends:
    """Put the tab's components on the page and tie them to what they do. `header` changes with the scorer in use."""
    with gr.Row(elem_classes="two-columns"):
        with gr.Column(scale=4, min_width=300):
            task = gr.Radio(ASKED, value=QUALITY, label="What to judge", visible=False, elem_id="score-task")
            files = image_input(label(False), "score-files", many=True, videos=True)
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
            notice, again = outdated_result.build("score", "Score again", session, header)
            table = gr.HTML(js_on_load=PICK, elem_id="score-table")
            with gr.Row(visible=False) as many:
                chosen = gr.Dropdown(label="Look closer at", elem_id="score-chosen", scale=3, min_width=240)
                download = gr.DownloadButton("Download CSV", scale=1, elem_id="score-csv")
            card = gr.HTML(cards.empty(NOTHING_YET), elem_id="score-card")
            chart = gr.Plot(visible=False, show_label=False, elem_id="score-chart", elem_classes="chart")
            words = gr.HTML()
            compare = gr.Button("Compare models on this image", size="sm", visible=False, elem_id="score-compare")
            on_screen = gr.Textbox(visible=False)  # the key of the result that the card shows
            parts = regions.build(session, tab.scorers, tab.who, on_screen)
            own = disagreement.build(session, tab.annotations, tab.who, rater, on_screen)

    detail = [on_screen, card, chart, words, compare, *parts.all(), *own.all()]
    outputs = [alert, *notice, table, many, chosen, download, *detail]
    _wire_scoring(session, tab, files, task, again, outputs, card)
    _wire_detail(session, chosen, table, detail)
    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    camera.input(lambda path: [path] if path else None, camera, files, **quiet)
    for event in (page.load, header.change):
        event(tab.offer, session, [files, task], **quiet)
    return Ends(files, on_screen, compare)


def _wire_scoring(session, tab: ScoreTab, files, task, again: gr.Button, outputs: list, card: gr.HTML) -> None:
    """Files to scores; a model that cannot be used says so above what was there before, with the button to try again."""
    alert, row, said = outputs[:3]

    def score(paths: list[str] | None, asked: str, visitor: Session, request: gr.Request, progress=gr.Progress()):
        try:
            tab.who.allow(request, paths or [])
            return tab.score(paths or [], asked, visitor, browser_of(request), progress)
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
    def look(key: str | None, visitor: Session):
        return show_detail(disagreement.result(key, visitor), visitor)

    @says_errors
    def pick(event: gr.EventData, visitor: Session):
        scored = disagreement.result(picked(event), visitor)
        return [scored.key, *show_detail(scored, visitor)]

    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    chosen.input(look, [chosen, session], detail, **quiet)
    opened = table.click(pick, session, [chosen, *detail], **quiet)
    opened.then(None, js="() => document.getElementById('score-card').scrollIntoView({ block: 'nearest' })", **quiet)
