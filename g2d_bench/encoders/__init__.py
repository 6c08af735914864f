"""Encoders: a card's architecture, its weights, its features."""
