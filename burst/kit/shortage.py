"""Shortage: a process that may open no further file, or gets no memory, and has to see and end processes all the same.

Whatever cannot be opened then is not absent: a search that passes over it would call a living task gone. So the search
raises `errors.Unavailable`, as for every outside thing that does not answer.
"""

import contextlib
import errno
import os
from collections.abc import Iterator

from burst.domain.basics import errors

_SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_STDIN = 0


def is_shortage(failure: OSError) -> bool:
    """Whether the system refused for want of descriptors or memory: it says nothing of the thing that was asked for."""
    return failure.errno in _SHORT


@contextlib.contextmanager
def told_as_unavailable(subject: str) -> Iterator[None]:
    """Raises `errors.Unavailable`, which names the thing that could not be seen, where the system is short."""
    try:
        yield
    except OSError as exc:
        if is_shortage(exc):
            raise errors.Unavailable(f"{subject} cannot be seen: {exc.strerror}") from exc
        raise


@contextlib.contextmanager
def suppressing_other_errors() -> Iterator[None]:
    """Suppresses an error of a file, but for a shortage: a broken file may count as absent, an unread one may not."""
    try:
        yield
    except OSError as exc:
        if is_shortage(exc):
            raise


def give_up_stdin() -> None:
    """Frees the lowest descriptor, so that one file at a time can be opened even below a limit of three."""
    with contextlib.suppress(OSError):  # it was freed before
        os.close(_STDIN)
