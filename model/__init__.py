"""Images in, assessments out; training. Knows nothing of the interface or of the database."""

from model import threads

threads.set_up()  # before torch is imported
