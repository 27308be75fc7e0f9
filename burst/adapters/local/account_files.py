"""The load accounts of a local run: files that the tasks' programs append to, beside the records of their guards."""

import json
from collections.abc import Mapping
from pathlib import Path

from burst.domain.basics import errors
from burst.load import load_account

SUFFIX = ".account.jsonl"


class AccountFiles:
    """`ports.LoadAccounts` for the run in a folder."""

    def __init__(self, run_folder: Path) -> None:
        self._folder = run_folder / "tasks"
        self._readers: dict[int, load_account.AccountReader] = {}

    def read(self) -> Mapping[int, bytes]:
        """The account of every shard that has one, as far as its program wrote it; see `ports.LoadAccounts`."""
        for path in sorted(self._folder.glob(f"[0-9]*{SUFFIX}")):
            shard = int(path.name.removesuffix(SUFFIX))
            reader = self._readers.setdefault(shard, load_account.AccountReader(str(path)))
            try:
                reader.read()
            except OSError as exc:
                raise errors.Unavailable(f"{path}: {exc.strerror or exc}") from exc
        readers = self._readers.items()
        return {shard: json.dumps(reader.account.to_value()).encode() for shard, reader in readers}
