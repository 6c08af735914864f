"""The Python door: measure a model that is in memory, and read results as data frames."""
