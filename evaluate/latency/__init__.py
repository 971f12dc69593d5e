"""Latency: measurement, cache and prediction."""
