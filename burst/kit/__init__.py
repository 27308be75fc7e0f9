"""Tools that adapters, tasks and the controller share and that stand behind no port."""
