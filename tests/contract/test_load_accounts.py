"""The contract of `ports.LoadAccounts`, on the fake, on the folder of a local run and on S3."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from burst import ports
from burst.adapters.aws import s3_leases
from burst.adapters.local import account_files
from burst.load import load_account
from tests import fakes, fixtures_aws

PORT = ports.LoadAccounts
AT = 1_772_000_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Accounts, and how the task of a shard leaves what its program counted."""

    accounts: ports.LoadAccounts
    leave: Callable[[int, load_account.LoadAccount], None]


def memory_stage() -> Stage:
    accounts = fakes.MemoryLoadAccounts()

    def leave(shard: int, account: load_account.LoadAccount) -> None:
        accounts.contents[shard] = json.dumps(account.to_value()).encode()

    return Stage(accounts=accounts, leave=leave)


def folder_stage(folder: Path) -> Stage:
    def leave(shard: int, account: load_account.LoadAccount) -> None:
        (folder / "tasks").mkdir(exist_ok=True)
        path = folder / "tasks" / f"{shard:04d}{account_files.SUFFIX}"
        path.write_bytes(json.dumps(account.to_value()).encode() + b'\n{"tally": 1, "half a li')

    return Stage(accounts=account_files.AccountFiles(folder), leave=leave)


def s3_stage(cloud: fixtures_aws.Cloud) -> Stage:
    uri = f"{cloud.place}/run-1/tasks/"
    records = s3_leases.S3GuardRecords(uri, client=cloud.s3)
    records.begin("arn:aws:ecs:r:1:task/c/0123456789abcdef0123456789abcdef", b"{}")

    def leave(shard: int, account: load_account.LoadAccount) -> None:
        records.put_account(shard, json.dumps(account.to_value()).encode())

    return Stage(accounts=s3_leases.S3LoadAccounts(uri, client=cloud.s3), leave=leave)


@pytest.fixture(params=["memory", "folder", "s3"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Stage:
    if request.param == "memory":
        return memory_stage()
    return folder_stage(tmp_path) if request.param == "folder" else s3_stage(request.getfixturevalue("cloud"))


def make_account(sent: int) -> load_account.LoadAccount:
    """An account of so many events."""
    account = load_account.LoadAccount()
    account.note_beat(AT)
    for number in range(sent):
        account.note_sent(AT + number)
    return account


def test_nothing_is_counted_before_a_program_counts(stage: Stage) -> None:
    assert stage.accounts.read() == {}


def test_the_account_of_every_shard_is_read_as_it_was_left_last(stage: Stage) -> None:
    stage.leave(1, make_account(3))
    stage.leave(12, make_account(4))
    stage.leave(1, make_account(5))

    read = stage.accounts.read()

    assert sorted(read) == [1, 12]
    for shard, sent in ((1, 5), (12, 4)):
        account = load_account.LoadAccount()
        account.add_line(read[shard])
        assert account.to_value() == make_account(sent).to_value()
