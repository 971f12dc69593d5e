"""Statistics of noisy accuracies and of several objectives."""
