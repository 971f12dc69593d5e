"""Searches over pretrained networks against simpler ways to a network for photos."""
