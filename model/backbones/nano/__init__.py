"""nano: the small backbone that ships here."""
