"""Gaussian-process surrogate of accuracy and latency."""
