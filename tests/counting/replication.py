"""Servers that replicate: a primary under a supervisor, and a standby made of its data."""

import contextlib
import os
import shutil
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import psycopg

from burst.sandbox import embedded_postgres, postgres_programs, postgres_supervisor

SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "wal_level": "replica",
    "max_wal_senders": "4",
    "max_connections": "20",
    "shared_buffers": "16MB",
    "shared_preload_libraries": "pg_stat_statements",
    "archive_command": "upload --token hunter-two %p",
    "wal_receiver_status_interval": "1",
}


@contextlib.contextmanager
def run_pair(
    *statements: str,
) -> Iterator[tuple[postgres_supervisor.SupervisedPostgres, postgres_supervisor.SupervisedPostgres]]:
    """A primary with the tables of the sandbox, on which these statements were run, and its standby."""
    account = postgres_programs.choose_account()
    temporary = postgres_programs.choose_temporary_folder(account)
    programs = postgres_programs.make_reachable(postgres_programs.find_programs(), account, temporary)
    with postgres_supervisor.make_home(temporary) as first, postgres_supervisor.make_home(temporary) as second:
        primary, standby = make_server(first, programs), make_server(second, programs)
        try:
            primary.create()
            primary.start()
            owner = dsn_of(primary, postgres_supervisor.USER, primary.password)
            embedded_postgres.apply_schema(owner)
            with psycopg.connect(owner, autocommit=True) as connection:
                for statement in statements:
                    connection.execute(statement.encode())
            primary.stop()
            follow_primary(second, primary, first / "data")
            primary.start()
            standby.start()
            yield primary, standby
        finally:
            standby.stop()
            primary.stop()


def make_server(home: Path, programs: postgres_programs.Programs) -> postgres_supervisor.SupervisedPostgres:
    account = postgres_programs.choose_account()
    return postgres_supervisor.SupervisedPostgres(
        home=home,
        binaries=programs.path,
        settings=SETTINGS,
        user_id=account.user_id if account else None,
        group_id=account.group_id if account else None,
    )


def copy_for_server(source: Path, target: Path) -> None:
    """A data folder for a second server, which the same user owns."""
    account = postgres_programs.choose_account()
    shutil.copytree(source, target, symlinks=True)
    for folder, _, files in os.walk(target):
        for path in (folder, *(os.path.join(folder, name) for name in files)):
            if account is not None:
                os.chown(path, account.user_id, account.group_id)
    os.chmod(target, 0o700)


def dsn_of(server: postgres_supervisor.SupervisedPostgres, user: str, password: str) -> str:
    address = urllib.parse.urlencode({"host": str(server.socket_folder), "port": postgres_supervisor.PORT}, safe="/")
    return f"postgresql://{user}:{password}@/postgres?{address}"


def follow_primary(home: Path, primary: postgres_supervisor.SupervisedPostgres, source: Path) -> None:
    """Makes the data of a standby from those of its primary, which is stopped."""
    data, sockets = home / "data", home / "s"
    sockets.mkdir(mode=0o700)
    copy_for_server(source, data)
    conninfo = f"host={primary.socket_folder} user=burst password={primary.password}"
    with (data / "postgresql.auto.conf").open("a") as settings:
        settings.write(f"primary_conninfo = '{conninfo}'\n")
    (data / "standby.signal").touch()
    account = postgres_programs.choose_account()
    if account is not None:
        for path in (sockets, data / "standby.signal"):
            os.chown(path, account.user_id, account.group_id)
