"""The run: what its journal says of it, and what it does next."""
