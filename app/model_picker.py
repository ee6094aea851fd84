"""The model picker in the page's header: which scorer this visitor uses, what it is, how far its loading is, and a way to stop that."""

from collections.abc import Callable
from html import escape

import gradio as gr

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
    words = f"<p>{escape(KNOWN[base].words)}</p>" if base in KNOWN else ""
    return f'<div class="in-use" role="status"><p>In use: <strong>{escape(spec)}</strong></p>{words}</div>'


def put_into_use(spec: str, visitor: Session, scorers: Scorers, progress: Callable | None = None) -> None:
    """Make `spec` this visitor's scorer. What goes wrong is said on the page, and the earlier one stays."""
    visitor.stop_loading = False

    def told(done: int, total: int) -> None:
        if visitor.stop_loading:
            raise ModelError(f"Loading {spec} was stopped; {visitor.spec} stays in use.")
        if progress:
            progress(done / total, desc=f"Loading {spec}")

    try:
        visitor.spec = scorers.get(spec.strip(), told).name
    except ModelError as error:  # not raised: Gradio would leave the choice as the visitor made it
        gr.Warning(escape(str(error)), title="That did not work", duration=12)


def build(session: gr.State, settings: Settings, scorers: Scorers) -> tuple[gr.HTML, gr.Dropdown]:
    """Put the picker on the page: the word on what is in use, and the choice, for other tabs to keep in step."""
    with gr.Column(elem_classes="picker", min_width=260):
        choice = gr.Dropdown(
            names(settings),
            value=settings.model,
            label="Model" if settings.public else "Model (name, folder or hub id)",
            allow_custom_value=not settings.public,
            elem_id="model",
        )
        header = gr.HTML(in_use(settings.model), elem_id="in-use")
        stop = gr.Button("Stop loading", size="sm", visible=False, elem_id="model-stop")

    def use(spec: str, visitor: Session, progress=gr.Progress()) -> list:
        put_into_use(spec, visitor, scorers, progress)
        return [in_use(visitor.spec), gr.Dropdown(value=visitor.spec), gr.Button(visible=False)]

    def stop_loading(visitor: Session) -> None:
        visitor.stop_loading = True

    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    loading = choice.input(lambda: gr.Button(visible=True), None, stop, **quiet)
    loading.then(use, [choice, session], [header, choice, stop], show_progress_on=[header], api_visibility="private")
    stop.click(stop_loading, session, None, **quiet)
    return header, choice
