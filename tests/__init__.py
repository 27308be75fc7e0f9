"""Tests: a package, so that no installed package called `tests` can stand in for it."""
