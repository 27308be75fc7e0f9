"""Renderings of a snapshot for people. Pure: the same snapshot gives the same bytes."""
