"""g2d-bench: honest comparison of medical vision-language pre-training on chest X-rays."""

__version__ = "0.1.0"
