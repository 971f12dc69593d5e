"""One object of each kind that bneck can be extended with."""
