"""What preflight asks for a plan: the checks of every target, and those that a target adds."""
