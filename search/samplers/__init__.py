"""Samplers: bneck's own and Optuna's, by name."""
