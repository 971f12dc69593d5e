"""A search from its creation to its reports."""
