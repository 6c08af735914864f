"""Metrics, one module per family, every convention named."""
