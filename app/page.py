"""The page: header, five tabs, and what they share."""

import gradio as gr

from annotations import open_annotations
from app import adapt_tab, api, compare_tab, disagreement, model_picker, owner_tab, rate_tab, score_tab
from app.checked_calls import CheckedBlocks
from app.environment import say
from app.errors import says_errors
from app.loaded_scorers import Scorers
from app.pending_images import Waiting
from app.session import Session
from app.settings import Settings
from app.study_page import StudyPage
from app.who import Who

FONTS = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "Liberation Sans", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Consolas", "Liberation Mono", "monospace")

HEADER = """<header class="masthead"><h1>Q-Scorer Studio</h1>
<p>A small multimodal language model judges how good your photographs look,
shows how sure it is, and learns from your ratings.</p></header>"""
ABOUT = """<div class="about"><p>Scores predict the mean opinion of many people about technical quality: sharpness, noise, exposure,
compression; or about beauty, where a model that knows aesthetics is asked for it. They say nothing about what an image means.
Q-Scorer chooses one of five score tokens and regresses the score from the hidden state behind it; Q-Align weighs five level words by
their probability. Everything runs on the machine that serves this page. What you upload is deleted within a day, unless you rate
it.</p></div>"""
JOURNALS = {
    "wal": "WAL",
    "delete": "DELETE, since this file system allows no WAL; one reads or writes at a time",
}


def build_page(settings: Settings, scorers: Scorers) -> gr.Blocks:
    """The whole page. Raises AnnotationError when the data folder cannot be used."""
    annotations, waiting = open_annotations(settings.data_dir), Waiting(settings.data_dir / "pending")
    who = Who(settings)
    waiting.keep_swept()
    annotations.finish_taking_back()
    say(f"Ratings are kept in {settings.data_dir} (journal: {JOURNALS[annotations.journal_mode()]})")
    with CheckedBlocks(title="Q-Scorer Studio", analytics_enabled=False, fill_width=True) as page:
        api.build(api.Api(settings, scorers, annotations, who))
        session = gr.State(Session(settings.model, adapters=settings.adapters))
        # The key is no secret (the browser gets it with the page): it only has to stay the same when the server starts again.
        remembered = gr.BrowserState({}, storage_key="q-scorer-studio", secret="q-scorer-studio")
        rater = gr.Textbox(label="Your name", max_lines=1, elem_id="rate-name", render=False)
        with gr.Row(elem_classes="top"):
            gr.HTML(HEADER)
            header, picker = model_picker.build(session, settings, scorers, page)
            if settings.sign_in:
                gr.LoginButton(size="sm", scale=0, min_width=200, elem_id="sign-in")
        with gr.Tabs(elem_id="tabs", overflow_behavior="wrap") as tabs:
            with gr.Tab("Score", id="score"):
                scoring = score_tab.build(
                    session, score_tab.ScoreTab(settings, scorers, annotations, who), rater, header, page
                )
            with gr.Tab("Compare", id="compare"):
                comparing = compare_tab.build(session, settings, scorers, annotations, who, header)
            with gr.Tab("Rate", id="rate"):
                rate_tab.build(session, remembered, rater, rate_tab.RateTab(scorers, annotations, waiting), who)
            with gr.Tab("Adapt", id="adapt") as tab:
                adapt_tab.build(session, adapt_tab.AdaptTab(settings, scorers, annotations), who, tab, header, picker)
            owner_tab.build(page, settings, scorers, annotations, who)
        gr.HTML(ABOUT)
        _hand_over(session, tabs, scoring, *comparing)

        def name(remembered: object, request: gr.Request) -> str | dict | gr.Textbox:
            if signed_in := who.shown_name(request):
                return gr.Textbox(signed_in, interactive=False, label="You are signed in as")
            return last_rater(remembered)

        page.load(name, remembered, rater, show_progress="hidden", api_visibility="private")
    page.study_routes = StudyPage(settings, scorers, annotations, who).router().routes
    return page


def _hand_over(
    session: gr.State, tabs: gr.Tabs, scoring: score_tab.Ends, compared: gr.File, leave_compare: gr.Button
) -> None:
    """An image goes along from the Score tab to the Compare tab, and back."""

    @says_errors
    def to_compare(key: str, visitor: Session) -> list:
        return [str(disagreement.result(key, visitor).path), gr.Tabs(selected="compare")]

    def to_score(path: str | None) -> list:
        return [[path] if path else None, gr.Tabs(selected="score")]

    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    scoring.leave.click(to_compare, [scoring.on_screen, session], [compared, tabs], **quiet)
    leave_compare.click(to_score, compared, [scoring.files, tabs], **quiet)


def last_rater(remembered: object) -> str | dict:
    """The name that was last given in a browser. Without one the text box is left alone: somebody may be typing in it already."""
    name = str(remembered.get("rater", "")) if isinstance(remembered, dict) else ""
    return name or gr.skip()


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
