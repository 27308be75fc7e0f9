"""Starts Locust for a task of a plan: `python -m burst.load.locust_start`, with the options of `locust`.

Locust reads options from `locust.conf`, `~/.locust.conf`, `pyproject.toml` and LOCUST_ variables too. A burst is what
its plan says, so the files are not read, and the launcher hands no LOCUST_ variable of the operator's shell to a task.
The load account of any locustfile is counted from Locust's events. `import locust` patches the standard library of its
process, so nothing else of burst imports this file.
"""

import os
from typing import Any

import locust
from locust import argument_parser, main

from burst.load import forked_workers, load_account, locust_account


class _PlainParser(argument_parser.LocustArgumentParser):
    """Locust's parser without default files; a file that is named by --config is read."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**(options | {"default_config_files": ()}))


def start() -> None:
    """Run Locust with the words of the command line."""
    locust_account.LocustAccount(os.environ.get(load_account.ACCOUNT_FILE)).attach(locust.events)
    forked_workers.end_with_parent()
    argument_parser.LocustArgumentParser = _PlainParser  # type: ignore[misc]
    main.main()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    start()
