"""Staging: changes of a database in stages, each with its check, its red line and its way back."""
