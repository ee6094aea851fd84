"""From images to assessments, and how these are written."""
