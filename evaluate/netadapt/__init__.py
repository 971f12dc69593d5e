"""The NetAdapt algorithm: step-wise cuts of a trained network."""
