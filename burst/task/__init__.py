"""Programs that run inside a burst task or beside it: light imports only, because they must start at once."""
