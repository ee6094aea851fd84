"""nano: the small backbone that ships with this repository."""
