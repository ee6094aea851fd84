"""The Compare tab's second part: any number of models on many images, with labels if there are any."""

from functools import partial

import gradio as gr

from annotations import Annotations
from app import cards, figures, many_results
from app.browser import browser_of
from app.compare_models import chosen, models_input
from app.errors import says_beside, says_errors
from app.loaded_scorers import Scorers
from app.many_images import Many, reports, score_many
from app.session import Session, note_shown
from app.settings import EXAMPLES, Settings
from app.shown_images import example_files
from app.who import Who
from model.evaluation.per_image import MOS
from model.images.formats import SUFFIXES

EMPTY = "Many images, several models: where they agree with people’s opinions, with each other, and where not."
WHAT = (
    '<p class="small">A file labels.csv among them, with the columns image and mos (std if known), tells how far each model agrees with '
    "people. What was scored is not scored again.</p>"
)


def build(session: gr.State, settings: Settings, scorers: Scorers, annotations: Annotations, who: Who) -> gr.File:
    """Put the part on the page and return its file input."""
    with gr.Row(elem_classes="two-columns"):
        with gr.Column(scale=4, min_width=300):
            given = gr.File(
                label="Images, and labels.csv: drop or choose",
                file_count="multiple",
                file_types=["image", *sorted(SUFFIXES), ".csv"],
                height=150,
                elem_id="many-files",
                elem_classes="intake",
            )
            gr.HTML(WHAT)
            use_examples = gr.Button("Use the example images", size="sm", elem_id="many-examples")
            others = models_input(settings, "many-others")
            start = gr.Button("Compare", variant="primary", elem_id="many-start")
            stop = gr.Button("Stop", visible=False, elem_id="many-stop")
            refused = gr.HTML(elem_id="many-refused")
        with gr.Column(scale=7, min_width=320):
            summary = gr.HTML(cards.empty(EMPTY), elem_id="many-summary")
            downloads = gr.File(
                label="Downloads", interactive=False, visible=False, elem_id="many-downloads", height=140
            )
            with gr.Row(visible=False) as axes:
                x = gr.Dropdown(label="Across", elem_id="many-x", min_width=140)
                y = gr.Dropdown(label="Up", elem_id="many-y", min_width=140)
            chart = gr.Plot(visible=False, show_label=False, elem_id="many-chart", elem_classes="chart")
            galleries = gr.HTML(elem_id="many-galleries")

    shown = [summary, downloads, axes, x, y, chart, galleries]

    @says_beside(refused)
    def compare(
        files: list[str] | None, specs: list[str], visitor: Session, request: gr.Request, progress=gr.Progress()
    ):
        progress(0, desc="Reading the files")
        allow = partial(who.allow, request)
        models = chosen(specs, visitor)
        many = score_many(files or [], models, scorers, allow, progress, lambda: visitor.stop_comparing)
        for answer in many.answers:
            judged = [(many.digests[n], assessment) for n, assessment in answer.assessments.items()]
            note_shown(annotations, "compare", browser_of(request), judged)
        progress(None, desc="Computing figures")
        visitor.many = many
        return drawn(many)

    def begin(visitor: Session) -> list:
        visitor.stop_comparing = False
        return [gr.Button(visible=False), gr.Button(visible=True)]

    def end() -> list:
        return [gr.Button(visible=True), gr.Button(visible=False)]

    def halt(visitor: Session) -> None:
        visitor.stop_comparing = True

    @says_errors
    def redraw(across: str, up: str, visitor: Session) -> list:
        many = visitor.many
        if not isinstance(many, Many) or across not in many_results.axes(many) or up not in many_results.axes(many):
            return gr.skip()
        return [plot(many, across, up), many_results.galleries(many, across, up)]

    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    running = start.click(begin, session, [start, stop], **quiet).then(
        compare,
        [given, others, session],
        [*shown, refused],
        show_progress_on=[summary],
        api_visibility="private",
    )
    running.then(end, None, [start, stop], **quiet)
    stop.click(halt, session, None, queue=False, **quiet)
    for choice in (x, y):
        choice.input(redraw, [x, y, session], [chart, galleries], **quiet)
    use_examples.click(lambda: [str(path) for path in example_files(EXAMPLES)], None, given, **quiet)
    return given


def drawn(many: Many) -> list:
    """Everything that is shown of a comparison."""
    found, known = reports(many), many_results.axes(many)
    across = many.answers[0].model
    up = MOS if MOS in known else many.answers[-1].model
    several = len(known) > 1 and bool(many.scored)
    second = many.answers[1].model if len(many.answers) > 1 else up
    return [
        many_results.summary(many, found),
        gr.File(many_results.files(many, found), visible=bool(many.scored)),
        gr.Row(visible=several),
        gr.Dropdown(known, value=across),
        gr.Dropdown(known, value=up),
        plot(many, across, up) if several else gr.Plot(None, visible=False),
        many_results.galleries(many, across, second),
    ]


def plot(many: Many, across: str, up: str) -> gr.Plot:
    """The scatter plot of two models' scores, or of one model's and the MOS."""
    read = many.labelled if MOS in (across, up) else many.scored
    scales = {answer.model: answer.scale for answer in many.answers}

    def values(name: str) -> list[float]:
        return (
            [label.mos for n in read if (label := many.labels[n])]
            if name == MOS
            else [many.systems[name][n] for n in read]
        )

    names = [many.names[n] for n in read]
    return gr.Plot(
        figures.scatter((across, values(across), scales.get(across)), (up, values(up), scales.get(up)), names),
        visible=True,
    )
