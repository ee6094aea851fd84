"""The model picker in the page's header: which scorer this visitor uses, what it is, how far its loading is, and a way to stop that."""

from collections.abc import Callable
from html import escape

import gradio as gr

from app.errors import says_errors
from app.scorers import Scorers
from app.session import Session
from app.settings import Settings
from model.errors import ModelError
from model.registry import KNOWN, SHIPPED


def names(settings: Settings) -> list[str]:
    """The models on offer. On a public Space only those that ship: no visitor may make it fetch gigabytes."""
    return list(dict.fromkeys([settings.model, *(SHIPPED if settings.public else KNOWN)]))


def in_use(spec: str) -> str:
    """The header's word on which scorer this visitor uses, with what is known of it."""
    base = spec.partition("+")[0]
    words = escape(KNOWN[base].words) if base in KNOWN else ""
    return f'<p class="in-use" role="status" title="{words}">In use: <strong>{escape(spec)}</strong></p>'


def about(spec: str) -> str:
    """One line on the model: size, memory, scale, training data, licence."""
    base = spec.partition("+")[0]
    words = KNOWN[base].words if base in KNOWN else "A model of your own."
    return f'<p class="small">{escape(words)}</p>'


def put_into_use(spec: str, visitor: Session, scorers: Scorers, progress: Callable | None = None) -> str:
    """Make `spec` this visitor's scorer, and give the header's word on it. Raises ModelError, and then the earlier one stays."""
    visitor.stop_loading = False

    def told(done: int, total: int) -> None:
        if visitor.stop_loading:
            raise ModelError(f"Loading {spec} was stopped; {visitor.spec} stays in use.")
        if progress:
            progress(done / total, desc=f"Loading {spec}")

    visitor.spec = scorers.get(spec.strip(), told).name
    return in_use(visitor.spec)


def build(session: gr.State, settings: Settings, scorers: Scorers) -> tuple[gr.HTML, gr.Dropdown]:
    """Put the picker on the page: the word on what is in use, and the choice, for other tabs to keep in step."""
    with gr.Column(elem_classes="picker", min_width=260):
        header = gr.HTML(in_use(settings.model), elem_id="in-use")
        choice = gr.Dropdown(
            names(settings),
            value=settings.model,
            label="Model",
            allow_custom_value=not settings.public,
            info=None if settings.public else "A name, or the folder or hub id of a model",
            elem_id="model",
        )
        words = gr.HTML(about(settings.model), elem_id="model-words")
        stop = gr.Button("Stop loading", size="sm", visible=False, elem_id="model-stop")

    @says_errors
    def use(spec: str, visitor: Session, progress=gr.Progress()):
        return put_into_use(spec, visitor, scorers, progress)

    def stop_loading(visitor: Session) -> None:
        visitor.stop_loading = True

    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    shown = choice.input(lambda: gr.Button(visible=True), None, stop, **quiet)
    used = shown.then(use, [choice, session], header, show_progress_on=[words], api_visibility="private")
    # Whether it worked or not, what is shown afterwards is what is in use.
    used.then(
        lambda visitor: [visitor.spec, about(visitor.spec), gr.Button(visible=False)],
        session,
        [choice, words, stop],
        **quiet,
    )
    stop.click(stop_loading, session, None, **quiet)
    return header, choice
