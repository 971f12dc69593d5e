"""Weight inheritance: a smaller network starts from the weights of a trained one."""
