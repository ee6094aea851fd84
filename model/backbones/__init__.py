"""Multimodal LLMs for scorers: one folder for each kind, and what they share."""
