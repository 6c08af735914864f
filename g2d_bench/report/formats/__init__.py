"""Formats of a table: one module each."""
