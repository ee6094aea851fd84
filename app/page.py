"""The page: header, four tabs, what they share, and how it is opened."""

import errno
import os
import secrets
import socket
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported

import gradio as gr  # noqa: E402

from annotations import AnnotationError, open_annotations  # noqa: E402
from app import adapt_tab, compare_tab, model_picker, rate_tab, score_tab  # noqa: E402
from app.compare_tab import open_image_named  # noqa: E402
from app.fair_queue import use_fair_queue  # noqa: E402
from app.scorers import Scorers  # noqa: E402
from app.session import Session  # noqa: E402
from app.settings import EXAMPLES, MAX_UPLOAD, Settings  # noqa: E402
from app.waiting import Waiting  # noqa: E402
from model.allocator import keep_freed_memory  # noqa: E402
from model.errors import ModelError  # noqa: E402
from model.registry import check_spec  # noqa: E402

HERE = Path(__file__).parent
FONTS = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "Liberation Sans", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Consolas", "Liberation Mono", "monospace")
CLEAR_EVERY, KEEP_UPLOADS = 3600, 20 * 3600  # seconds; the page promises "within a day"

HEADER = """<header class="masthead"><h1>Q-Scorer Studio</h1>
<p>A small multimodal language model judges how good your photographs look,
shows how sure it is, and learns from your ratings.</p></header>"""
ABOUT = """<div class="about"><p>Scores predict the mean opinion of many people about technical quality: sharpness, noise, exposure,
compression; or about beauty, where a model that knows aesthetics is asked for it. They say nothing about what a picture means.
Q-Scorer chooses one of five score tokens and regresses the score from the hidden state behind it; Q-Align weighs five level words by
their probability. Everything runs on the machine that serves this page. What you upload is deleted within a day, unless you rate
it.</p></div>"""


def build_page(settings: Settings, scorers: Scorers) -> gr.Blocks:
    """The whole page. Raises AnnotationError when the data folder cannot be used."""
    annotations = open_annotations(settings.data_dir)
    with gr.Blocks(
        title="Q-Scorer Studio", analytics_enabled=False, delete_cache=(CLEAR_EVERY, KEEP_UPLOADS), fill_width=True
    ) as page:
        _offer_api(settings, scorers)  # first: Gradio numbers later functions of the same name
        session = gr.State(Session(settings.model))
        # The key is no secret (the browser gets it with the page): it only has to stay the same when the server starts again.
        browser = gr.BrowserState({}, storage_key="q-scorer-studio", secret="q-scorer-studio")
        rater = gr.Textbox(label="Your name", max_lines=1, elem_id="rate-name", render=False)
        with gr.Row(elem_classes="top"):
            gr.HTML(HEADER)
            header, picker = model_picker.build(session, settings, scorers, page)
        with gr.Tabs(elem_id="tabs", overflow_behavior="wrap"):
            with gr.Tab("Score", id="score"):
                score_tab.build(session, score_tab.Desk(settings, scorers), annotations, rater, header, page)
            with gr.Tab("Compare", id="compare"):
                compare_tab.build(session, settings, scorers, header)
            with gr.Tab("Rate", id="rate"):
                rate_tab.build(session, browser, rater, rate_tab.Desk(scorers, annotations, Waiting()))
            with gr.Tab("Adapt", id="adapt") as tab:
                adapt_tab.build(session, adapt_tab.Bench(settings, scorers, annotations), tab, header, picker)
        gr.HTML(ABOUT)
        page.load(recognise, browser, [browser, rater], show_progress="hidden", api_visibility="private")
    return page


def recognise(known: dict | None) -> tuple[dict, str]:
    """A browser's token, under which its uploads wait, and the name that was last given in it."""
    known = known or {}
    token = known.get("token") or secrets.token_urlsafe(16)
    name = str(known.get("rater", ""))
    return {"token": str(token), "rater": name}, name


def _offer_api(settings: Settings, scorers: Scorers) -> None:
    """The one endpoint for programs: /score takes a picture file and gives its assessment as in `python -m model.score`."""
    picture, answer, trigger = gr.File(visible=False), gr.JSON(visible=False), gr.Button(visible=False)

    def score(path: str) -> dict:
        """Score one picture; returns the assessment as a JSON object, the score on the given scale, higher is better."""
        file = Path(path)
        try:
            return scorers.get(settings.model).assess([open_image_named(file)], [file.name])[0].to_dict()
        except ModelError as error:
            raise gr.Error(str(error), print_exception=False) from error

    trigger.click(score, picture, answer, api_name="score")


def theme() -> gr.themes.Base:
    """Calm and local: fonts that are already on the machine, nothing fetched."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.indigo,
        secondary_hue=gr.themes.colors.slate,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_lg,
        font=FONTS,
        font_mono=MONO,
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_label_text_color="*neutral_600",
        block_label_text_color_dark="*neutral_300",
        block_border_width="1px",
        block_shadow="none",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_text_color="white",
        button_primary_background_fill_dark="*primary_500",
        button_primary_background_fill_hover_dark="*primary_400",
    )


class CannotOpen(Exception):
    """Why the page cannot be served; str(error) is one sentence."""


def check_address(host: str, port: int) -> None:
    """Raises CannotOpen when nothing can be served there: Gradio would say so by a trace."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotOpen(
                f"port {port} is in use by another program: choose another, say --port {port + 1}."
            ) from error
        raise CannotOpen(
            f"{host}:{port} cannot be listened on ({error.strerror}): choose another --host or --port."
        ) from error


def launch(settings: Settings) -> None:
    """Open the page and serve it until interrupted. Ends with one sentence where model, data folder or port cannot be used."""
    keep_freed_memory()
    scorers = Scorers(settings.adapters, settings.device, settings.dtype)
    try:
        check_spec(settings.model, settings.adapters)
        check_address(settings.host, settings.port)
        page = build_page(settings, scorers)
    except (ModelError, AnnotationError, CannotOpen) as error:
        raise SystemExit(f"error: {error}") from None
    use_fair_queue(page)
    page.launch(
        server_name=settings.host,
        server_port=settings.port,
        prevent_thread_lock=True,
        theme=theme(),
        css_paths=HERE / "page.css",
        head=f"<script>{(HERE / 'page.js').read_text(encoding='utf-8')}</script>",
        max_file_size=MAX_UPLOAD,
        allowed_paths=[str(EXAMPLES)],
        blocked_paths=[str(settings.data_dir.absolute())],
        footer_links=["api", "settings"],
        run_history=False,
        state_session_capacity=500,
        enable_monitoring=False,
        ssr_mode=False,
        pwa=False,
    )
    scorers.warm(settings.model)
    page.block_thread()
