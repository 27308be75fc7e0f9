"""What runs inside a burst task or beside it: light imports only, because these processes must start at once."""
