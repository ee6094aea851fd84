"""From files to pixels: decoding, colour, video, damage."""
