"""How long a test waits for one step of another process before it is held to be stuck."""

PATIENCE = 300  # seconds; a step takes one or two, and tens where a busy machine imports torch for the first time
