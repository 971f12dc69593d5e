"""The NetAdapt algorithm: step-wise channel pruning."""
