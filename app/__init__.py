"""The page. Knows model/ and annotations/ by their public face only, and imports no torch before an image is to be scored."""
