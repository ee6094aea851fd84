"""What becomes of ratings: functions over plain arrays, which know of no database.

Ratings come as three arrays of one length: `rater` and `image` (indices from 0) and `value`. Each function's docstring names its source.
"""
