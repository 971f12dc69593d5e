"""Long work other than a search: training, comparison, NetAdapt, supernet, seed study, latency."""
