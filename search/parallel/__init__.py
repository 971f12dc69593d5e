"""Processes, locks and deadlines."""
