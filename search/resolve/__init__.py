"""Names of networks, data sets and devices to values."""
