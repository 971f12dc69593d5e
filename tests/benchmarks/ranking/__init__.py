"""Rank correlation of proxies with training, and its value to a search."""
