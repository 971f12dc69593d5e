"""One network that holds every network of a space, and shares its weights among them."""
