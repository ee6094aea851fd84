"""nano from scratch."""
