"""The control by which a person says how good an image is: one of five words, or a finer value."""

import gradio as gr

from model.readouts.levels import LEVEL_WORDS

NO_CHOICE = "Choose one of the five words, or move the slider, first."


def rating_input(label: str, element: str) -> tuple[gr.Radio, gr.Slider]:
    """Five words and a slider that move each other. The word is None until one of them was used."""
    word = gr.Radio([(name, n) for n, name in enumerate(LEVEL_WORDS, start=1)], label=label, elem_id=f"{element}-word")
    value = gr.Slider(
        1, 5, value=3, step=0.1, buttons=[], label="Finer, from 1 (bad) to 5 (excellent)", elem_id=f"{element}-value"
    )
    # In the browser alone, so that the slider does not stutter.
    private = {"api_visibility": "private"}
    word.input(None, word, value, js="(word) => word", **private)
    value.input(None, value, word, js="(value) => Math.min(5, 1 + Math.floor((value - 1) / 0.8 + 1e-9))", **private)
    return word, value
