"""Multimodal LLMs that a scorer can stand on, one a file."""
