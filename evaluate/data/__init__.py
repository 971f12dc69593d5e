"""Data sets: reading, splitting, cropping and augmenting images."""
