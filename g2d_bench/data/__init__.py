"""Data sets: raw files to samples, splits and pixels."""
