"""Records and what is said of them: store, selection, verification, comparison."""
