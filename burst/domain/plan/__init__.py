"""What an operator asks for: plans, parsed strictly from YAML or JSON."""
