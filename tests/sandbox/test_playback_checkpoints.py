"""Checkpoints in Postgres and in a folder: one contract for both stores."""

import threading
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest

from burst.load import load_settings
from burst.load.playback import checkpoint_files, checkpoint_tables, checkpoints, playback_settings, progress, records
from tests import playing_back

OWNER = checkpoints.CheckpointOwner(
    scope="ключ/..%s", shard_index=2, shard_count=4, attempt="run-1", recording="digest", continues=False
)
MARK = records.RecordPlace(file="2026/ключ.jsonl.gz", row=41, recorded_at=1771544510.25)
KEPT = progress.Checkpoint(low_water=20, last=MARK, beyond=((22, 25), (30, 31)))


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where checkpoints are kept; `away` and `back` take the place from its stores, and give it back."""

    open: Callable[[], checkpoints.CheckpointStore]
    away: Callable[[], None]
    back: Callable[[], None]


@pytest.fixture(params=["table", "folder"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Both stores in turn."""
    opened: list[checkpoints.CheckpointStore] = []

    def note(store: checkpoints.CheckpointStore) -> checkpoints.CheckpointStore:
        opened.append(store)
        return store

    if request.param == "folder":
        folder, aside = tmp_path / "kept", tmp_path / "aside"

        def take_away() -> None:
            folder.rename(aside)
            folder.write_text("in the way")

        def give_back() -> None:
            folder.unlink()
            aside.rename(folder)

        yield Place(
            open=lambda: note(checkpoint_files.FileCheckpoints(folder)),
            away=take_away,
            back=give_back,
        )
    else:
        dsn = request.getfixturevalue("database_dsn")
        playing_back.prepare_checkpoints(dsn)
        server_dsn = request.getfixturevalue("postgres_server").dsn
        name = urllib.parse.urlsplit(dsn).path.lstrip("/")
        yield Place(
            open=lambda: note(checkpoint_tables.TableCheckpoints(dsn)),
            away=lambda: _allow(server_dsn, name, False),
            back=lambda: _allow(server_dsn, name, True),
        )
    for store in opened:
        store.close()


def _allow(server_dsn: str, name: str, allowed: bool) -> None:
    """Whether a database takes connections; those that it has are ended where not."""
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {allowed}".encode())
        if not allowed:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [name]
            )


def test_what_was_saved_is_what_the_next_run_takes_over(place: Place) -> None:
    store = place.open()
    assert store.take_over(OWNER) == progress.Checkpoint()
    store.save(KEPT)

    assert place.open().take_over(replace(OWNER, attempt="run-2", continues=True)) == KEPT
    assert {name: kept.checkpoint for name, kept in place.open().read_scope(OWNER.scope).items()} == {
        "0002-of-0004": KEPT
    }
    assert place.open().read_scope("another") == {}


def test_a_run_whose_checkpoint_was_taken_over_saves_nothing_more(place: Place) -> None:
    first, second = place.open(), place.open()
    first.take_over(OWNER)
    second.take_over(replace(OWNER, attempt="run-2"))
    second.save(KEPT)

    with pytest.raises(checkpoints.Fenced, match="taken over shard 0002-of-0004"):
        first.save(progress.Checkpoint(low_water=99))

    assert place.open().read_scope(OWNER.scope)["0002-of-0004"].checkpoint == KEPT


def test_of_many_that_take_over_at_once_one_alone_saves(place: Place) -> None:
    stores = [place.open() for _ in range(6)]
    threads = [
        threading.Thread(target=store.take_over, args=(replace(OWNER, attempt=f"run-{number}"),))
        for number, store in enumerate(stores)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    saved = 0
    for store in stores:
        try:
            store.save(KEPT)
            saved += 1
        except checkpoints.Fenced:
            pass

    assert saved == 1


def test_the_same_save_twice_changes_nothing(place: Place) -> None:
    store = place.open()
    store.take_over(OWNER)
    for _ in range(2):
        store.save(KEPT)

    assert place.open().read_scope(OWNER.scope)["0002-of-0004"].checkpoint == KEPT


UNFIT = [
    (replace(OWNER, attempt="run-2"), "24 records of shard"),
    (replace(OWNER, attempt="run-2", continues=True, recording="other"), "from another recording"),
    (replace(OWNER, attempt="run-2", continues=True, shard_count=5), "was played in other shards"),
]


@pytest.mark.parametrize(("owner", "words"), UNFIT, ids=[words for _, words in UNFIT])
def test_a_run_that_would_send_again_or_skip_is_refused_and_fences_nobody(
    place: Place, owner: checkpoints.CheckpointOwner, words: str
) -> None:
    store = place.open()
    store.take_over(OWNER)
    store.save(KEPT)

    with pytest.raises(checkpoints.CheckpointError, match=words):
        place.open().take_over(owner)

    store.save(KEPT)


@pytest.mark.parametrize("other", ["the run before", "its own run"])
def test_a_shard_that_holds_nothing_plays_no_other_recording_than_the_shards_beside_it(
    place: Place, other: str
) -> None:
    store = place.open()
    store.take_over(replace(OWNER, attempt="run-1/7"))
    attempt = "run-1/8"
    if other == "the run before":
        store.save(KEPT)
        attempt = "run-2/8"

    with pytest.raises(checkpoints.CheckpointError, match="from another recording"):
        place.open().take_over(
            replace(OWNER, shard_index=3, attempt=attempt, recording="changed", continues=True)
        )  # fmt: skip


def test_a_run_that_goes_on_where_nothing_was_kept_begins_with_the_first(place: Place) -> None:
    assert place.open().take_over(replace(OWNER, continues=True)) == progress.Checkpoint()


def test_a_store_that_was_away_takes_the_next_save(place: Place) -> None:
    store = place.open()
    store.take_over(OWNER)
    place.away()
    try:
        with pytest.raises(checkpoints.CheckpointAway):
            store.save(KEPT)
        with pytest.raises(checkpoints.CheckpointAway):
            store.save(KEPT)
    finally:
        place.back()

    store.save(KEPT)

    assert place.open().read_scope(OWNER.scope)["0002-of-0004"].checkpoint == KEPT


def test_a_database_without_the_table_is_told_what_to_do_and_with_it_nothing(database_dsn: str) -> None:
    table = checkpoint_tables.TableCheckpoints(database_dsn)
    try:
        before = table.find_problem()
        with pytest.raises(checkpoints.CheckpointError, match=r"apply infra/sql/playback_checkpoint.sql"):
            table.take_over(OWNER)
        playing_back.prepare_checkpoints(database_dsn)
        playing_back.prepare_checkpoints(database_dsn)  # it may be applied again

        assert "apply infra/sql/playback_checkpoint.sql" in before
        assert table.find_problem() == ""
    finally:
        table.close()


def test_a_table_of_before_keeps_its_rows_and_gets_the_new_columns(database_dsn: str) -> None:
    with psycopg.connect(database_dsn, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE wsp_checkpoint (pack_key text, output_id text, last_file text, last_row_index bigint, "
            "last_ts_utc timestamptz, updated_at_utc timestamptz, PRIMARY KEY (pack_key, output_id))"
        )
        connection.execute("INSERT INTO wsp_checkpoint VALUES ('run:0:a1', 's1', 'f.parquet', 7, now(), now())")
    playing_back.prepare_checkpoints(database_dsn)
    table = checkpoint_tables.TableCheckpoints(database_dsn)
    try:
        assert table.find_problem() == ""
        table.take_over(OWNER)
        table.save(KEPT)

        assert list(table.read_scope("run:0:a1")) == ["s1"]
    finally:
        table.close()


def test_words_of_a_dsn_that_is_none_never_repeat_it() -> None:
    with pytest.raises(checkpoints.CheckpointError) as caught:
        checkpoint_tables.TableCheckpoints("postgres://u:hunter2@[h/d").take_over(OWNER)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "PLAYED_DSN is not set"), ("postgres://<host>/TO_PIN", "PLAYED_DSN holds a placeholder")],
)
def test_a_dsn_that_is_missing_or_a_placeholder_opens_no_store(
    value: str | None, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is not None:
        monkeypatch.setenv("PLAYED_DSN", value)

    with pytest.raises(load_settings.SettingError, match=words):
        playback_settings.open_store("env:PLAYED_DSN")


def test_a_row_without_its_last_record_is_an_error_and_no_beginning(database_dsn: str) -> None:
    playing_back.prepare_checkpoints(database_dsn)
    store = checkpoint_tables.TableCheckpoints(database_dsn)
    store.take_over(OWNER)
    store.save(KEPT)
    with psycopg.connect(database_dsn, autocommit=True) as connection:
        connection.execute("UPDATE wsp_checkpoint SET last_file = NULL")

    with pytest.raises(checkpoints.CheckpointError, match="the row of 0002-of-0004 makes no sense: low_water is 20"):
        store.take_over(OWNER)
    store.close()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("-csearch_path=lanes", ""),
        ("-csearch_path=nowhere", 'relation "wsp_checkpoint" does not exist'),
        ("-cdefault_transaction_read_only=on", "the database lets this role read alone"),
    ],
)
def test_the_options_of_a_dsn_hold(options: str, problem: str, database_dsn: str) -> None:
    with psycopg.connect(database_dsn, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA lanes")
        if "lanes" in options:
            connection.execute("SET search_path = lanes")
        connection.execute(playing_back.MIGRATION.read_bytes())
    mark = "&" if "?" in database_dsn else "?"
    store = checkpoint_tables.TableCheckpoints(f"{database_dsn}{mark}options={urllib.parse.quote(options)}")

    assert store.find_problem().startswith(problem)
    assert bool(store.find_problem()) == bool(problem)
    store.close()


def test_a_row_that_another_program_left_for_a_shard_is_no_beginning(database_dsn: str) -> None:
    playing_back.prepare_checkpoints(database_dsn)
    with psycopg.connect(database_dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO wsp_checkpoint (pack_key, output_id, last_file, last_row_index) VALUES (%s, %s, 'r.jsonl', 7)",
            [OWNER.scope, OWNER.output],
        )
    store = checkpoint_tables.TableCheckpoints(database_dsn)

    with pytest.raises(checkpoints.CheckpointError, match=r"ends in r.jsonl after 0 records, so what was played"):
        store.take_over(OWNER)
    store.close()


def test_a_folder_that_nobody_may_look_into_is_away_and_no_bug(tmp_path: Path) -> None:
    store = checkpoint_files.FileCheckpoints(tmp_path)
    store.take_over(OWNER)
    (file,) = tmp_path.glob("*/*.json")
    file.unlink()
    file.mkdir()

    with pytest.raises(checkpoints.CheckpointAway, match=r"0002-of-0004\.json: Is a directory"):
        store.read_scope(OWNER.scope)


@pytest.mark.parametrize("content", ["", "{}", '{"last": null, "beyond": "3-1"}', "[1]"])
def test_a_file_that_is_no_checkpoint_is_an_error_and_no_beginning(content: str, tmp_path: Path) -> None:
    store = checkpoint_files.FileCheckpoints(tmp_path)
    store.take_over(OWNER)
    store.save(KEPT)
    (file,) = tmp_path.glob("*/*.json")
    file.write_text(content)

    with pytest.raises(checkpoints.CheckpointError, match="no checkpoint"):
        store.take_over(OWNER)
