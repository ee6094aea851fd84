"""mPLUG-Owl2: the backbone of the published Q-Scorer, Q-Align and DeQA-Score."""
