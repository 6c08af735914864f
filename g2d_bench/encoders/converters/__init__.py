"""Conversions of published entries, one module each; see :mod:`g2d_bench.encoders.converter`."""
