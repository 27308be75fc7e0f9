"""Outlets: each tells somebody outside how a run went, and holds no other's words. Needs the extra `outlets`."""
