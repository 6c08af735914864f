"""Scorers of this package: none; packages of others add theirs to the group ``g2d_bench.scorers``."""
