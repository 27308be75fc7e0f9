"""AWS: each service that burst calls, behind a port."""
