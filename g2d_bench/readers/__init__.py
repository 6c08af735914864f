"""Readers: one module per public data set, and the file formats that they share."""
