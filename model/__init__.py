"""Images in, assessments out; training. Knows nothing of the interface or of the database."""
