"""Plans: the requests of an operator, parsed strictly from YAML or JSON."""
