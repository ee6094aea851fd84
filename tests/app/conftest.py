"""Gradio is imported for the tests as app.py imports it: in half the time."""

from app.environment import importing_gradio

with importing_gradio():
    import gradio  # noqa: F401
