"""Exact size of a space, and uniform draws from its feasible networks."""
