"""Own programs: how burst starts a further process of itself, wherever the operator stands."""

import sys


def start_words(module: str) -> tuple[str, ...]:
    """The words that start a module as this Python does. A file of the current folder stands in for no module: `-P`
    leaves the folder out of where Python looks, as the command `burst` does."""
    return (sys.executable, "-P", "-m", module)
