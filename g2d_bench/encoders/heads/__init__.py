"""Projection heads: one module per method."""
