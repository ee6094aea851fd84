"""From rated images to an adapter."""
