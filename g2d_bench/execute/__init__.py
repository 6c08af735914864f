"""Many cells: isolation, progress, resume."""
