"""The results of the study that an owner has chosen, up to date while the page is open, and the owner's decisions about ratings."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path

import gradio as gr

from annotations.studies.study import Study
from app import owner_figures, owner_results
from app.errors import Refused
from app.image_input import PICK, picked
from app.owner_reports import Reports
from app.owner_results import ACCEPTED, ALL, REFUSED, SHORT

CHARTS = (
    ("hours", "Ratings by the hour"),
    ("mos", "Mean opinion scores"),
    ("spread", "How far raters differ"),
    ("heat", "Who rated what"),
)
PATIENCE = 1.0  # seconds that a press waits for a report that is being computed
REOPEN = "Reopen for the images that are short"
REOPEN_SAID = (
    "<p class='small'>Opens the study again. Places of ratings that are not used are given to other raters, and images that have enough "
    "are shown to nobody.</p>"
)


@dataclass(frozen=True)
class Dashboard:
    """The components that show a study's results. `filters` say which rows, `drawn` what of which study is on screen."""

    drawn: gr.State
    filters: list
    outputs: list


def results(reports: Reports, name: str, filters: tuple, patience: float) -> tuple[tuple, list]:
    """What is shown now, and the values of a dashboard's outputs. Raises AnnotationError."""
    known = reports.of(name, patience)
    report, fresh = known.report, known.ready.is_set()
    drawn = (name, known.change, fresh)
    if report is None or known.ratings is None:
        return drawn, [owner_results.facts(None, fresh), *[gr.Plot(visible=False)] * len(CHARTS), "", "", ""]
    find_rater, which_raters, find_image, which_images, find_left = filters
    charts = [
        owner_figures.by_hour(report.by_hour),
        owner_figures.mos_histogram(report),
        owner_figures.spread(report),
        owner_figures.heat_strip(report, known.ratings),
    ]
    return drawn, [
        owner_results.facts(report, fresh),
        *(gr.Plot(chart, visible=chart is not None) for chart in charts),
        owner_results.raters_table(report, find_rater, which_raters),
        owner_results.images_table(report, find_image, which_images),
        owner_results.left_out_table(report, find_left),
    ]


def build(
    data_dir: Path, reports: Reports, owners: Callable, chosen: gr.Textbox, drawn: gr.State, live: gr.Timer
) -> None:
    """Put the tabs of results on the page. `chosen` has the study's name, `drawn` what is on screen."""
    with gr.Tab("Results", id="owner-results-tab"):
        facts = gr.HTML(elem_id="owner-facts")
        with gr.Row(elem_classes="two-columns"):
            plots = [_plot(*CHARTS[0]), _plot(*CHARTS[1])]
        with gr.Row(elem_classes="two-columns"):
            plots += [_plot(*CHARTS[2]), _plot(*CHARTS[3])]
    with gr.Tab("Raters", id="owner-raters-tab"):
        find_rater, which_raters = _filter("raters", [ALL, ACCEPTED, REFUSED])
        raters = gr.HTML(js_on_load=PICK, elem_id="owner-raters")
        rater_decision = _decision("rater", "Rater", "Press a name in the table")
    with gr.Tab("Images", id="owner-images-tab"):
        find_image, which_images = _filter("images", [ALL, SHORT])
        images = gr.HTML(elem_id="owner-images-table")
        reopen = gr.Button(REOPEN, size="sm", elem_id="owner-reopen")
        gr.HTML(REOPEN_SAID)
    with gr.Tab("Not used", id="owner-left-tab"):
        find_left = gr.Textbox("", label="Find by rater, image or reason", max_lines=1, elem_id="owner-find-left")
        left_out = gr.HTML(js_on_load=PICK, elem_id="owner-left")
        rating_decision = _decision("rating", "Rating", "Press a rating's number in the table")
    filters = [find_rater, which_raters, find_image, which_images, find_left]
    board = Dashboard(drawn, filters, [drawn, facts, *plots, raters, images, left_out])
    _wire_looks(board, reports, owners, chosen, live)
    _wire_decisions(
        board, data_dir, reports, owners, chosen, (raters, left_out), (rater_decision, rating_decision), reopen
    )


def _plot(name: str, label: str) -> gr.Plot:
    with gr.Column(min_width=320):
        plot = gr.Plot(visible=False, label=label, show_label=False, elem_id=f"owner-{name}", elem_classes="chart")
    return plot


def _filter(name: str, which: list[str]) -> tuple[gr.Textbox, gr.Radio]:
    with gr.Row():
        find = gr.Textbox("", label="Find by name", max_lines=1, elem_id=f"owner-find-{name}")
        chosen = gr.Radio(which, value=ALL, label="Show", elem_id=f"owner-which-{name}")
    return find, chosen


def _decision(what: str, label: str, placeholder: str) -> list:
    """What it is about, the reason, and the two buttons."""
    with gr.Row(equal_height=True):
        about = gr.Textbox(
            "", label=label, placeholder=placeholder, interactive=False, max_lines=1, elem_id=f"owner-{what}"
        )
        reason = gr.Textbox("", label="Reason, kept with the decision", max_lines=1, elem_id=f"owner-{what}-reason")
        use = gr.Button("Use", size="sm", min_width=90, scale=0, elem_id=f"owner-{what}-use")
        leave = gr.Button("Leave out", size="sm", min_width=90, scale=0, elem_id=f"owner-{what}-leave")
    return [about, reason, use, leave]


def _wire_looks(board: Dashboard, reports: Reports, owners: Callable, chosen: gr.Textbox, live: gr.Timer) -> None:
    @owners
    def look(request: gr.Request, name: str, seen: tuple, *filters: str):
        """Nothing, where what is on screen is all there is."""
        if not name:
            return gr.skip()
        drawn, shown = results(reports, name, filters, patience=0)
        return gr.skip() if drawn == seen else [drawn, *shown]

    @owners
    def draw(request: gr.Request, name: str, *filters: str):
        drawn, shown = (
            results(reports, name, filters, patience=PATIENCE) if name else ((), [gr.skip()] * (len(board.outputs) - 1))
        )
        return [drawn, *shown]

    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    live.tick(look, [chosen, board.drawn, *board.filters], board.outputs, **quiet)
    chosen.change(
        draw, [chosen, *board.filters], board.outputs, show_progress_on=board.outputs[1], api_visibility="private"
    )
    changes = [given.submit if isinstance(given, gr.Textbox) else given.input for given in board.filters]
    changes += [given.blur for given in board.filters if isinstance(given, gr.Textbox)]
    gr.on(changes, draw, [chosen, *board.filters], board.outputs, **quiet)


def _wire_decisions(
    board: Dashboard, data_dir: Path, reports, owners: Callable, chosen, tables: tuple, decisions: tuple, reopen
) -> None:
    def decide(study: str, rater: str, rating: int | None, used: bool, reason: str, filters: tuple) -> list:
        if not rater:
            raise Refused("Choose a row in the table first.")
        if not reason.strip():
            raise Refused("Give a reason: it is kept with the decision, for whoever reads the data.")
        Study(data_dir, study).decide(rater, used, reason.strip(), rating=rating)
        drawn, shown = results(reports, study, filters, patience=PATIENCE)
        return ["", "", drawn, *shown]

    def decides(of_rating: bool, used: bool) -> Callable:
        @owners
        def act(request: gr.Request, study: str, about: str, reason: str, *filters: str):
            number, _, rater = about.partition(" ") if of_rating else ("", "", about)
            rating = int(number) if number.isascii() and number.isdecimal() else None
            return decide(study, rater, rating, used, reason, filters)

        return act

    @owners
    def choose(event: gr.EventData, request: gr.Request):
        return picked(event) or gr.skip()

    @owners
    def open_again(request: gr.Request, study: str, *filters: str):
        short = Study(data_dir, study).reopen_short()
        gr.Info(escape(f"{study} is open: {short} images need ratings."), title="The study is open")
        drawn, shown = results(reports, study, filters, patience=PATIENCE)
        return [drawn, *shown]

    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    for of_rating, (table, (about, reason, use, leave)) in enumerate(zip(tables, decisions, strict=True)):
        table.click(choose, None, about, **quiet)
        for button, used in ((use, True), (leave, False)):
            given = [chosen, about, reason, *board.filters]
            button.click(decides(bool(of_rating), used), given, [about, reason, *board.outputs], **quiet)
    reopen.click(open_again, [chosen, *board.filters], board.outputs, **quiet)
