"""The model picker in the page's header: which scorer this visitor uses, what it is, how far its loading is, and a way to stop that."""

from collections.abc import Callable
from contextvars import copy_context
from html import escape

import gradio as gr

from app import model_list
from app.loaded_scorers import Scorers, words_of
from app.session import Session
from app.settings import Settings
from app.shown_names import breakable, short
from model.common.errors import ModelError
from model.common.progress import DOWNLOADING, Progress, in_words
from model.loading.known import KNOWN


def names(settings: Settings) -> list[str]:
    """The models on offer. Visitors from elsewhere get only what the owner listed: none may make the page fetch gigabytes."""
    return settings.offered if settings.public else list(dict.fromkeys([*settings.offered, *KNOWN]))


def takes_any(settings: Settings) -> list[str]:
    """The class of a choice of models into which any SPEC may be typed; page.js sees to it that what was typed is taken."""
    return [] if settings.public else ["takes-any"]


def in_use(spec: str, words: str) -> str:
    """The header's word on which scorer this visitor uses, with what is known of it."""
    known = f"<p>{escape(words)}</p>" if words else ""
    return f'<div class="in-use" role="status"><p>In use: <strong>{breakable(spec)}</strong></p>{known}</div>'


def shows(progress: Callable, spec: str) -> Progress:
    """How far the loading of `spec` is, on one of Gradio's progress bars, whatever thread tells it."""
    here = copy_context()  # by which Gradio knows whose bar it is

    def told(stage: str, done: int, total: int) -> None:
        here.copy().run(progress, done / total, desc=f"{short(spec)}: {in_words(stage, done, total)}")

    return told


def put_into_use(spec: str, visitor: Session, scorers: Scorers, progress: Callable) -> None:
    """Make `spec` this visitor's scorer. What goes wrong is said on the page, and the earlier one stays."""
    visitor.stop_loading = False
    shown = shows(progress, spec)

    def told(stage: str, done: int, total: int) -> None:
        if visitor.stop_loading:
            kept = " What has arrived whole is kept for the next time." if stage == DOWNLOADING else ""
            raise ModelError(f"{stage} {spec} was stopped; {visitor.spec} stays in use.{kept}")
        shown(stage, done, total)

    try:
        scorers.get(spec, told)
        visitor.used = [*(known for known in visitor.used if known not in (spec, visitor.spec)), visitor.spec]
        visitor.spec = spec
    except ModelError as error:  # not raised: Gradio would leave the choice as the visitor made it
        gr.Warning(escape(str(error)), title="That did not work", duration=12)


def build(session: gr.State, settings: Settings, scorers: Scorers, page: gr.Blocks) -> tuple[gr.HTML, gr.Dropdown]:
    """Put the picker on the page: the word on what is in use, and the choice, for other tabs to keep in step."""
    with gr.Column(elem_classes="picker", min_width=260):
        choice = gr.Dropdown(
            names(settings),
            value=settings.model,
            label="Model" if settings.public else "Model (name, folder or hub id)",
            allow_custom_value=not settings.public,
            elem_id="model",
            elem_classes=takes_any(settings),
        )
        header = gr.HTML(in_use(settings.model, words_of(settings.model)), elem_id="in-use")
        # Gradio lays its bar over it, and nothing under the bar.
        way = gr.HTML("&nbsp;", visible=False, elem_id="model-progress")
        stop = gr.Button("Stop loading", size="sm", visible=False, elem_id="model-stop")
        model_list.build(settings, names(settings))

    def wanted(spec: str | None, visitor: Session) -> str:
        return (spec or "").strip() or visitor.spec

    def offer_stop(spec: str | None, visitor: Session) -> list:
        new = wanted(spec, visitor) != visitor.spec  # Gradio calls it input, too, when the choice is left as it was
        return [gr.HTML(visible=new), gr.Button(visible=new)]

    def use(spec: str | None, visitor: Session, progress=gr.Progress()) -> list:
        if wanted(spec, visitor) != visitor.spec:
            put_into_use(wanted(spec, visitor), visitor, scorers, progress)
        return [say(visitor), gr.Dropdown(value=visitor.spec), gr.HTML(visible=False), gr.Button(visible=False)]

    def say(visitor: Session) -> str:
        return in_use(visitor.spec, scorers.words(visitor.spec))

    def start(visitor: Session) -> list:
        return [say(visitor), gr.Dropdown(names(settings), value=visitor.spec)]

    def stop_loading(visitor: Session) -> None:
        visitor.stop_loading = True

    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    loading = choice.input(offer_stop, [choice, session], [way, stop], **quiet)
    loading.then(use, [choice, session], [header, choice, way, stop], show_progress_on=[way], api_visibility="private")
    stop.click(stop_loading, session, None, **quiet)
    page.load(start, session, [header, choice], **quiet)  # what a folder holds is known when it is loaded
    return header, choice
