"""Libraries whose models can be encoders, one module each; see :mod:`g2d_bench.encoders.library`."""
