"""Why regress? What each method's labels lose of a mean opinion, at the visitor's own mean and spread; no model runs."""

import gradio as gr

from app import cards
from model.paper.conversion_chart import STDS, error_by_std, largest_std_at, one_image
from model.paper.conversions import deqa, q_align
from model.readouts.levels import LEVEL_WORDS, interval_index

SCALE = (1.0, 5.0)
START = (4.5, 0.8)
STD_ENDS = (0.05, 1.2)
# In the browser: what was typed beside a slider, brought between its ends; Gradio would refuse it.
WITHIN = f"""(mos, std) => [[mos, {list(SCALE)}], [std, {list(STD_ENDS)}]]
  .map(([value, [low, high]]) => Math.min(high, Math.max(low, value || low)))"""
NOTICED = 0.05  # points of error that are worth a word
INTRODUCTION = (
    "<p>Language models choose words; a mean opinion is a number. Suppose that a model learned its labels perfectly: how much of the mean "
    "opinion would come back? Q-Align teaches one word of five. DeQA-Score teaches how likely each of the five is, from mean and "
    "spread. Q-Scorer’s regressor is taught the number itself.</p>"
)
CAUTION = (
    '<p class="small">This is the error of the labels alone (paper, section 3.1). A real model is unsure between two words, and Q-Align’s '
    "average then falls between them; and real models err about images by far more than DeQA-Score’s labels usually do.</p>"
)


def build() -> None:
    """Put two sliders, two charts and what they say on the page."""
    gr.HTML(INTRODUCTION)
    with gr.Row():
        mos = gr.Slider(*SCALE, START[0], step=0.05, label="Mean opinion of an image (1 to 5)", elem_id="why-mos")
        std = gr.Slider(
            *STD_ENDS,
            START[1],
            step=0.05,
            label="Spread of the opinions (standard deviation, points)",
            elem_id="why-std",
        )
    said = gr.HTML(in_words(*START), elem_id="why-words")
    with gr.Row(elem_classes="two-columns"):
        with gr.Column(min_width=300):
            labels = gr.Plot(one_image(*START), show_label=False, elem_id="why-labels", elem_classes="chart")
        with gr.Column(min_width=300):
            errors = gr.Plot(error_by_std(*START), show_label=False, elem_id="why-errors", elem_classes="chart")
    gr.HTML(CAUTION)
    gr.on(
        [mos.change, std.change],
        show,
        [mos, std],
        [said, labels, errors],
        js=WITHIN,
        trigger_mode="always_last",
        show_progress="hidden",
        api_visibility="private",
    )


def show(mos: float, std: float) -> tuple:
    """Words and charts, for the largest spread that the mean allows where `std` is larger."""
    possible = min(std, largest_std_at(mos, SCALE))
    said = in_words(mos, possible)
    if possible < std:
        said = (
            cards.notice(
                f"Opinions from 1 to 5 with a mean of {mos:.2f} cannot spread by more than {possible:.2f}: this is shown."
            )
            + said
        )
    return said, one_image(mos, possible), error_by_std(mos, possible)


def in_words(mos: float, std: float) -> str:
    """What the charts show, as sentences for the page; the numbers are points of the scale 1 to 5."""
    word = LEVEL_WORDS[interval_index(mos, SCALE, len(LEVEL_WORDS))]
    by_level, by_label = q_align(mos, std, SCALE), deqa(mos, std, SCALE)
    lines = [
        f"<b>Q-Align</b> teaches “{word}” and gets back {by_level.score:.2f}, {_off(by_level.score - mos)}.",
        f"<b>DeQA-Score</b> gets back {by_label.score:.2f}, {_off(by_label.score - mos)}; {where_deqa_errs(mos)} "
        f"It takes the spread of the opinions for {by_label.std:.2f} instead of {std:.2f}.",
        f"<b>Regression</b> is taught {mos:.2f} and loses nothing.",
    ]
    return f'<p role="status">{"<br>".join(lines)}</p>'


def where_deqa_errs(mos: float) -> str:
    """For which spreads DeQA-Score's score of an image with this mean opinion is noticeably off."""
    possible = [s for s in STDS if s <= largest_std_at(mos, SCALE)]
    off = [s for s in possible if abs(deqa(mos, s, SCALE).score - mos) > NOTICED]
    if not off:
        return f"at this mean it is never off by more than {NOTICED} points, however much people disagree."
    if max(off) < max(possible) - 0.05:
        return f"at this mean it is off by more than {NOTICED} points only for spreads between {min(off):.2f} and {max(off):.2f}."
    return f"at this mean it is off by more than {NOTICED} points for some spreads from {min(off):.2f} on."


def _off(error: float) -> str:
    return "which is exact" if abs(error) < 0.005 else f"off by {error:+.2f} points".replace("-", "−")
