"""Tools that adapters, tasks and the controller share, without a port of their own."""
