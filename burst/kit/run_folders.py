"""Where runs lie under a folder of this machine: in it, or one folder below, as a demo and a rehearsal put them.

Only names and the files that every run has are looked at, so that a shell can complete an id while it is typed.
"""

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from burst.domain.basics import naming

SIGNS = ("journal.jsonl", "plan.json")
"""Every run that began has one of these; so has one whose other documents were pruned."""
LAST = "last"
"""The word that stands for the newest run."""
_STAMP = re.compile(r"_([0-9]{8}T[0-9]{6}Z)(?:_|$)", re.ASCII)
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{2,99}", re.ASCII)


def find_folders(folder: Path) -> Mapping[str, Path]:
    """The folder of each run under a folder, by its id. One that lies directly in it goes before others of its name.

    Raises OSError where the folder cannot be listed; folders below it that cannot be are passed over.
    """
    folders: dict[str, Path] = {}
    below: dict[str, Path] = {}
    for path in _list_folders(folder):
        inner = {} if is_run(path) else _list_inner(path)
        below |= inner
        if not inner:
            folders[path.name] = path
    return {**below, **folders}


def order_newest(folders: Mapping[str, Path]) -> list[str]:
    """The ids of those that are runs, the newest first: by the stamp in the id, else by the folder's last change."""
    begun = {name: _read_begin(name, path) for name, path in folders.items() if is_run(path)}
    return sorted(begun, key=lambda name: begun[name], reverse=True)


def _read_begin(name: str, path: Path) -> float:
    """Seconds since 1970."""
    stamp = _STAMP.search(name)
    try:
        if stamp is not None:
            return datetime.strptime(stamp[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
        return os.stat(path).st_mtime
    except (ValueError, OSError):
        return 0.0


def _list_folders(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    return [
        folder / name for name in sorted(names) if _RUN_ID.fullmatch(name) and name not in naming.FOLDERS_OF_ALL_RUNS
    ]


def _list_inner(folder: Path) -> dict[str, Path]:
    try:
        return {path.name: path for path in _list_folders(folder) if is_run(path)}
    except OSError:
        return {}


def is_run(folder: Path) -> bool:
    """Whether a run began in a folder."""
    return any(os.path.isfile(folder / sign) for sign in SIGNS)
