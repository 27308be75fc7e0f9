"""Recordings: what is read of each kind of file, and the words for each that cannot be played."""

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from burst.load.playback import progress, recordings, records, shard_records, templates

ROWS = [{"account": f"a{number % 3}", "number": number, "at": 1.7e9 + number} for number in range(10)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def _write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=4)


def _read(source: Path | str, *, key: str = "account", at: str | None = None, shards: int = 1) -> list[records.Record]:
    """Every record of every shard of a recording."""
    files = recordings.list_files(str(source))
    found = []
    for index in range(shards):
        shard = shard_records.ShardReading(files=files, key=key, at=at, shard_index=index, shard_count=shards)
        found += [record for record in shard.read_from(progress.Checkpoint()) if record is not None]
    return found


WRITERS: dict[str, Callable[[Path], object]] = {
    "r.jsonl": lambda path: path.write_bytes(LINES),
    "r.ndjson": lambda path: path.write_bytes(LINES.removesuffix(b"\n")),
    "r.json": lambda path: path.write_bytes(LINES.replace(b"\n", b"\r\n")),
    "r.jsonl.gz": lambda path: path.write_bytes(gzip.compress(LINES)),
    "r.jsonl.zst": lambda path: path.write_bytes(zstd.compress(LINES)),
    "r.parquet": lambda path: _write_parquet(path, ROWS),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_of_file_gives_its_records_in_order(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name)

    found = _read(tmp_path / name, at="at")

    assert [json.loads(record.raw) for record in found] == ROWS
    assert [record.mark.row for record in found] == list(range(10))
    assert [record.mark.recorded_at for record in found] == [row["at"] for row in ROWS]


@pytest.mark.parametrize("name", WRITERS)
def test_reading_goes_on_behind_any_record_of_any_kind_of_file(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name)
    whole = _read(tmp_path / name)
    files = recordings.list_files(str(tmp_path / name))
    shard = shard_records.ShardReading(files=files, key="account", at=None, shard_index=0, shard_count=1)

    for number, record in enumerate(whole, start=1):
        rest = shard.read_from(progress.Checkpoint(low_water=number, last=record.mark))
        assert list(rest) == whole[number:]


def test_a_folder_is_played_in_the_order_of_its_names_without_markers(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name, number in (("b/1.jsonl", 2), ("a.jsonl.gz", 1), ("c.jsonl", 3)):
        line = json.dumps({"account": "x", "number": number}).encode() + b"\n"
        (tmp_path / name).write_bytes(gzip.compress(line) if name.endswith("gz") else line)
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / ".part.jsonl.swp").touch()

    assert [json.loads(record.raw)["number"] for record in _read(tmp_path)] == [1, 2, 3]


def _torn_gzip() -> bytes:
    return gzip.compress(LINES * 200)[:-20]


BROKEN = [
    ("r.jsonl", LINES + b'{"account": "a1", "num', "row 10: not JSON, such as a line that was torn"),
    ("r.jsonl", b"", "it is empty; a recorded file holds at least one record"),
    ("r.jsonl.gz", gzip.compress(b""), "it is empty; a recorded file holds at least one record"),
    ("r.jsonl.gz", _torn_gzip(), "its gzip is broken"),
    ("r.jsonl.gz", LINES, "row 0: its gzip is broken: Not a gzipped file"),
    ("r.jsonl.zst", LINES, "row 0: its zstd is broken"),
    ("r.jsonl.zst", zstd.compress(LINES * 200)[:-9], "its zstd is broken"),
    ("r.parquet", LINES, "its Parquet is broken"),
    ("r.jsonl.bz2", LINES, "unknown kind or compression; allowed are NAME.jsonl"),
    ("r.csv", LINES, "unknown kind or compression"),
    ("r.jsonl", b'{"other": 1, "another": 2}\n', "row 0: no value at the key 'account'; the fields of the record are "),
    ("r.jsonl", b'{"account": null}\n', "no value at the key 'account'"),
    ("r.jsonl", b'{"account": "a", "account": "b"}\n', "the name 'account' stands in one object twice"),
    ("r.jsonl", b'{"account": "a", "p": {"x": 1, "x": 1}}\n', "the name 'x' stands in one object twice"),
    ("r.jsonl", b'["a"]\n', "expected a JSON object, seen '[\"a\"]'"),
    ("r.jsonl", b'{"account": "a"}\n\n{"account": "a"}\n', "row 1: an empty line"),
    ("r.jsonl", b'{"account": "\xff"}\n', "row 0: not UTF-8 at byte 13"),
    ("r.jsonl", b"[" * 100_000 + b"\n", "row 0: not JSON"),
    ("r.jsonl", b'{"account": "a", "share": NaN}\n', "row 0: not JSON, such as a line that was torn: NaN is no number"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "words"), BROKEN, ids=[f"{name} {words}" for name, _, words in BROKEN])
def test_what_cannot_be_played_is_an_error_that_names_its_place(
    name: str, content: bytes, words: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(records.RecordingError) as caught:
        _read(tmp_path / name)

    assert str(caught.value).startswith(str(tmp_path / name))
    assert words in str(caught.value)


UNREADABLE_COLUMNS = {
    "nanoseconds": pyarrow.array([1, 1], pyarrow.timestamp("ns", tz="UTC")),
    "after the year 9999": pyarrow.array([10**18, 1], pyarrow.timestamp("us", tz="UTC")),
    "no UTF-8": pyarrow.array([b"\xff", b"a"]).view(pyarrow.string()),
}


@pytest.mark.parametrize("column", UNREADABLE_COLUMNS)
def test_a_value_of_parquet_that_cannot_be_read_is_an_error_of_the_recording(column: str, tmp_path: Path) -> None:
    table = pyarrow.table({"account": ["a", "b"], "at": UNREADABLE_COLUMNS[column]})
    parquet.write_table(table, tmp_path / "r.parquet")

    with pytest.raises(records.RecordingError, match=r"r.parquet row 0: a value in the 500 rows from here"):
        _read(tmp_path / "r.parquet")


@pytest.mark.parametrize("inner", [False, True])
def test_two_columns_of_one_name_are_an_error_as_two_names_in_an_object_are(inner: bool, tmp_path: Path) -> None:
    columns = [pyarrow.array(["a"]), pyarrow.array(["b"])]
    table = pyarrow.Table.from_arrays(columns, names=["account", "account"])
    if inner:
        held = pyarrow.StructArray.from_arrays(columns, names=["x", "x"])
        table = pyarrow.table({"account": columns[0], "held": held})
    parquet.write_table(table, tmp_path / "r.parquet")

    with pytest.raises(records.RecordingError, match=r"two columns are named '(account|held\.x)'"):
        _read(tmp_path / "r.parquet")


@pytest.mark.parametrize("name", ["_r.jsonl", ".r.jsonl"])
def test_a_file_that_the_source_names_itself_is_played_whatever_its_name_begins_with(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(LINES)

    assert len(_read(tmp_path / name)) == 10


def test_a_recording_is_another_where_one_byte_of_it_differs(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_bytes(LINES)
    files = recordings.list_files(str(tmp_path))
    first = recordings.describe(files, key="account", shard_count=2)
    again = recordings.describe(files, key="account", shard_count=2)
    (tmp_path / "r.jsonl").write_bytes(LINES.replace(b'"number": 7', b'"number": 8'))

    assert again == first
    assert recordings.describe(recordings.list_files(str(tmp_path)), key="account", shard_count=2) != first


def test_a_line_longer_than_any_record_may_be_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "LONGEST_LINE", 1000)
    (tmp_path / "r.jsonl").write_bytes(json.dumps({"account": "a" * 2000}).encode() + b"\n")

    with pytest.raises(records.RecordingError, match="longer than 1000 bytes"):
        _read(tmp_path / "r.jsonl")


@pytest.mark.parametrize("make", [lambda path: None, Path.mkdir], ids=["missing", "no file in it"])
def test_a_source_without_files_is_an_error(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "r")

    with pytest.raises(records.RecordingError, match=r"No such file|no recorded file there; allowed are"):
        recordings.list_files(str(tmp_path / "r"))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2026-02-19T23:41:50Z", 1771544510.0),
        ("2026-02-19T23:41:50.5+00:00", 1771544510.5),
        (1771544510, 1771544510.0),
        (1771544510500, 1771544510.5),
        ("2026-02-19T23:41:50", None),
        ("yesterday", None),
        ("9999-12-31T23:59:59-12:00", None),
        ("0001-01-01T00:00:00+12:00", None),
        (10**400, None),
        (17, None),
        (True, None),
        (None, None),
    ],
)
def test_an_instant_says_its_offset_or_is_a_number_since_1970(value: object, seconds: float | None) -> None:
    if seconds is not None:
        assert records.read_recorded_at({"at": value}, "at", "r.jsonl row 0") == pytest.approx(seconds)
        return
    with pytest.raises(records.RecordingError, match=r"r.jsonl row 0: no instant at 'at', seen"):
        records.read_recorded_at({"at": value}, "at", "r.jsonl row 0")


KEYS = st.one_of(
    st.text(min_size=1, max_size=40),
    st.text(alphabet="ключ漢字🙂", min_size=2_500, max_size=2_600),  # 10 kB in UTF-8
    st.integers(),
    st.booleans(),
)


@given(st.lists(KEYS, min_size=1, max_size=30), st.integers(1, 9))
def test_every_record_is_in_one_shard_and_all_of_a_key_in_the_same(keys: list[object], shards: int) -> None:
    texts = [records.read_key({"k": {"id": key}}, "k.id", "here") for key in keys]
    chosen = [records.choose_shard(text, shards) for text in texts]

    assert all(0 <= shard < shards for shard in chosen)
    assert len(set(zip(texts, chosen, strict=True))) == len(set(texts))


def test_the_shard_of_a_key_is_the_same_for_ever() -> None:
    assert [records.choose_shard(key, 40) for key in ("a", "ключ", "a" * 10_000, "\ud800")] == [10, 24, 32, 12]


@pytest.mark.parametrize("shards", [1, 2, 7])
def test_the_shards_together_read_every_record_once(shards: int, tmp_path: Path) -> None:
    rows = [{"account": f"ключ-{number % 17}", "number": number} for number in range(300)]
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))

    found = _read(tmp_path / "r.jsonl", shards=shards)

    assert sorted(json.loads(record.raw)["number"] for record in found) == list(range(300))


def test_an_output_ends_after_its_most_events_over_all_runs(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_bytes(LINES)
    files = recordings.list_files(str(tmp_path))
    shard = shard_records.ShardReading(
        files=files, key="account", at=None, shard_index=0, shard_count=1, most_records=6
    )
    first = list(shard.read_from(progress.Checkpoint()))
    last = first[3]
    assert last is not None

    rest = list(shard.read_from(progress.Checkpoint(low_water=4, last=last.mark)))

    assert (len(first), len(rest)) == (6, 2)


def _record(raw: dict[str, Any]) -> templates.RecordFilling:
    mark = records.RecordPlace(file="r.jsonl", row=7, recorded_at=1771544510.25)
    record = records.Record(ordinal=12, mark=mark, key="a1", raw=json.dumps(raw).encode())
    return templates.RecordFilling(scope="s1", shard=3, record=record, due_at=1771544600.0, sent_at=1771544600.5)


def test_a_body_without_a_template_is_sent_byte_by_byte() -> None:
    filling = _record({"b": 1, "a": "ü"})

    assert templates.RecordTemplate({}).fill(filling) is filling.record.raw


def test_a_template_sets_scope_ids_and_instants_and_leaves_the_rest() -> None:
    fields = {
        "platform_run_id": "{scope}", "event_id": "{scope}:{value}", "meta.shard.number": "{shard}-{sequence}-{key}",
        "at.due": "{due_at}", "at.sent": "{sent_at}", "at.recorded": "{recorded_at}", "payload": "{record}",
    }  # fmt: skip
    recorded = {"event_id": "e9", "at": {"zone": "UTC"}, "left": [1, "ü"]}

    body = json.loads(templates.RecordTemplate(fields).fill(_record(recorded)))

    assert body == {
        "platform_run_id": "s1", "event_id": "s1:e9", "meta": {"shard": {"number": "3-12-a1"}},
        "at": {
            "zone": "UTC", "due": "2026-02-19T23:43:20.000Z", "sent": "2026-02-19T23:43:20.500Z",
            "recorded": "2026-02-19T23:41:50.250Z",
        },
        "left": [1, "ü"], "payload": recorded,
    }  # fmt: skip


def test_a_template_that_sets_a_field_of_no_object_names_the_record() -> None:
    with pytest.raises(records.RecordingError, match=r"r.jsonl row 7: the template sets a.b, which lies in no object"):
        templates.RecordTemplate({"a.b": "x"}).fill(_record({"a": 1}))


def test_half_of_a_surrogate_pair_stays_an_escape_so_that_the_body_is_utf_8() -> None:
    body = templates.RecordTemplate({"scope": "{scope}"}).fill(_record({"name": "\ud800"}))

    assert json.loads(body.decode()) == {"name": "\ud800", "scope": "s1"}


def test_a_number_that_no_double_holds_is_never_sent_as_another() -> None:
    filling = _record({"amount": 1})
    large = replace(filling, record=replace(filling.record, raw=b'{"amount": 1e999}'))

    assert templates.RecordTemplate({}).fill(large) == b'{"amount": 1e999}'
    with pytest.raises(records.RecordingError, match=r"r.jsonl row 7: a number in it is too large"):
        templates.RecordTemplate({"scope": "{scope}"}).fill(large)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"a": "{scope}"}, ""),
        ({"a": "{record}"}, ""),
        ({"a": "x {record}"}, "a: {record} is not known; allowed are {scope}"),
        ({"a": "{now}"}, "a: {now} is not known"),
        ({"a..b": "x"}, "'a..b' is no field"),
        ({"a.b": "x", "a": "y"}, "a.b lies in a, which becomes a text"),
        ({"a.b": "x", "ab": "y"}, ""),
    ],
)
def test_a_template_is_held_to_its_placeholders(fields: dict[str, str], problem: str) -> None:
    assert templates.find_problem(fields).startswith(problem)
    assert bool(templates.find_problem(fields)) == bool(problem)
