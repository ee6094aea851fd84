"""From images to assessments, and their output formats."""
