"""What must hold before a launch: the findings of preflight, and how each is judged."""
