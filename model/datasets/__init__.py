"""Image quality data sets: from the folders in which they are published to lists of rated images, and to other programs' files."""
