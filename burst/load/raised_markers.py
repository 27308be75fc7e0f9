"""Markers of exceptions: what a Locust user lets go on its way is no request, so the account counts it as a marker."""

RAISED = "raised "
"""Begins each of them; the name of the exception's class follows."""


def name_marker(exception: BaseException) -> str:
    """The marker of an exception."""
    return f"{RAISED}{type(exception).__name__}"
