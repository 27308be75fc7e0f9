"""Starts Locust for a task of a plan: `python -m burst.load.locust_start`, with the options of `locust`.

Locust reads options from `locust.conf`, `~/.locust.conf`, `pyproject.toml` and LOCUST_ variables too. A burst is what
its plan says, so the files are not read, and the launcher hands no LOCUST_ variable of the operator's shell to a task.
The load account of any locustfile is counted from Locust's events. `import locust` patches the standard library of its
process, so nothing else of burst imports this file.
"""

import os
import sys
from typing import Any

import locust
from locust import argument_parser, main

import burst
from burst.load import (
    forked_workers,
    kept_files,
    load_account,
    locust_account,
    locust_keeper,
    locust_roles,
    task_processes,
)


class _PlainParser(argument_parser.LocustArgumentParser):
    """Locust's parser without default files; a file that is named by --config is read."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**(options | {"default_config_files": ()}))


def start() -> None:
    """Run Locust with the words of the command line, in the role that the guard gave this process."""
    version = f"locust {locust.__version__}, burst {burst.__version__}"
    problem = task_processes.explain_other_version(os.environ, version)
    if problem:
        sys.stderr.write(f"{problem}\n")
        sys.exit(2)
    if os.environ.get(task_processes.ROLE) != task_processes.MASTER:  # a master sends nothing
        process = task_processes.read_index(os.environ)
        account = locust_account.LocustAccount(os.environ.get(load_account.ACCOUNT_FILE), process)
        account.attach(locust.events)
        kinds = kept_files.list_kinds(os.environ)
        if kinds:
            locust_keeper.LocustKeeper(kinds, account, process).attach(locust.events)
    locust_roles.LocustRole(os.environ, version).attach(locust.events)
    options = task_processes.fit_words(sys.argv[1:], os.environ)
    sys.argv[1:] = [*task_processes.list_options(os.environ), *options]
    forked_workers.end_with_parent()
    argument_parser.LocustArgumentParser = _PlainParser  # type: ignore[misc]
    main.main()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    start()
