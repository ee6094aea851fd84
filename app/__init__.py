"""The page. Knows model/ and annotations/ by their public face only, and imports no torch before a picture is to be scored."""
