"""One adapter per kind of task: from features to predictions."""
