"""The extra `statistics`: exact bounds need scipy, which weighs more than all that a task's image holds.

So no verdict of a run needs it, and the commands that judge several runs say where it is missing.
"""

import importlib.util

from burst.domain.basics import errors

INSTALL = "bounds over several runs need the extra statistics: pip install 'burst[statistics]'"


def require() -> None:
    """Raises `errors.UsageError` where scipy is not installed."""
    if importlib.util.find_spec("scipy") is None:
        raise errors.UsageError(INSTALL)
