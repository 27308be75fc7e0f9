"""Differences of two checks of a database: every row that changed, and no word of what one role alone could see."""

from collections.abc import Callable, Mapping

import pytest

from burst.domain.basics import errors
from burst.domain.database import database_differences
from burst.domain.documents import database_checks, models
from burst.report import database_text
from tests import fakes_database

Reading = database_checks.DatabaseReading
SUPERUSERS = database_checks.HiddenPart(part="settings of superusers", why="GRANT pg_read_all_settings")


def setting(name: str = "shared_buffers", **changes: object) -> database_checks.SettingRow:
    row = database_checks.SettingRow(
        name=name, setting="16384", unit="8kB", source="configuration file", pending_restart=False
    )
    return row.model_copy(update=changes)


def change(read: Callable[[], Reading]) -> database_differences.DatabaseDifference:
    return database_differences.compare(fakes_database.check(), fakes_database.check(reading=read()))


def indexed(*indexes: database_checks.IndexRow) -> Reading:
    table = fakes_database.reading().table
    assert table is not None
    return fakes_database.reading(table=table.model_copy(update={"indexes": list(indexes)}))


ROLE_SETTING = database_checks.RoleSettingRow(held_by="role", name="work_mem", setting="9MB")
CHANGES: Mapping[str, tuple[Callable[[], Reading], str, str, str | None, str | None]] = {
    "a setting": (
        lambda: fakes_database.reading(settings=[setting(setting="32768")]),
        *("setting", "shared_buffers", "163848kB", "327688kB"),
    ),
    "a setting that waits for a restart": (
        lambda: fakes_database.reading(settings=[setting(pending_restart=True)]),
        *("setting", "shared_buffers", "163848kB", "163848kB (waits for a restart)"),
    ),
    "a setting that has its default again": (
        lambda: fakes_database.reading(settings=[]),
        *("setting", "shared_buffers", "163848kB", None),
    ),
    "a setting that is hidden": (
        lambda: fakes_database.reading(settings=[setting(), setting("archive_command", setting=None, unit=None)]),
        *("setting", "archive_command", None, "(set, hidden)"),
    ),
    "a setting of the role": (
        lambda: fakes_database.reading(role=fakes_database.role(settings=[ROLE_SETTING])),
        *("role setting", "role: work_mem", None, "9MB"),
    ),
    "the limit of the role": (
        lambda: fakes_database.reading(role=fakes_database.role(connection_limit=None)),
        *("role setting", "connection limit", "10", "none"),
    ),
    "the version": (
        lambda: fakes_database.reading(server=fakes_database.reading().server.model_copy(update={"version": "18.2"})),
        *("server", "version", "18.1", "18.2"),
    ),
    "an extension": (
        lambda: fakes_database.reading(extensions=[]),
        *("extension", "plpgsql", "1.0", None),
    ),
    "an index": (
        lambda: indexed(),
        *("index", "public.receipts_scope", "CREATE INDEX public.receipts_scope", None),
    ),
    "an index that broke": (
        lambda: indexed(fakes_database.index_row(valid=False)),
        *("index", "public.receipts_scope", "CREATE INDEX public.receipts_scope"),
        "CREATE INDEX public.receipts_scope (not valid)",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_is_one_row_with_both_values(name: str) -> None:
    read, section, row, before, after = CHANGES[name]

    difference = change(read)

    assert difference.changes == (
        database_differences.RowChange(section=section, name=row, before=before, after=after),
    )
    assert difference.known
    assert row in database_text.render_difference(difference)
    assert difference.value()["differ"]


def test_figures_that_move_by_themselves_are_no_difference() -> None:
    other = fakes_database.reading()
    table = other.table
    assert table is not None
    busier = table.model_copy(update={"indexes": [fakes_database.index_row(scans=9_000, size_bytes=5)]})

    difference = change(lambda: fakes_database.reading(table=busier))

    assert difference.changes == ()
    assert difference.known


def test_settings_that_one_role_alone_could_see_are_named_and_no_difference() -> None:
    difference = change(lambda: fakes_database.reading(settings=[], hidden=[SUPERUSERS]))

    assert difference.changes == ()
    assert not difference.known
    assert difference.uncompared == ("settings that superusers alone see: not visible in B",)


def test_settings_that_neither_role_could_see_are_compared_as_both_see_them() -> None:
    before = fakes_database.check(reading=fakes_database.reading(hidden=[SUPERUSERS]))
    after = fakes_database.check(reading=fakes_database.reading(hidden=[SUPERUSERS], settings=[]))

    difference = database_differences.compare(before, after)

    assert len(difference.changes) == 1
    assert difference.known


def test_a_part_that_was_not_read_is_named() -> None:
    difference = change(lambda: fakes_database.reading(settings=None, role=None))

    assert difference.uncompared == (
        "setting: not read in B",
        "role setting: not read in B",
        "safeguard: not read in B",
    )


def test_a_table_that_neither_has_is_no_unread_part() -> None:
    without = fakes_database.check(reading=fakes_database.reading(table=None))

    assert database_differences.compare(without, without).known


@pytest.mark.parametrize(
    ("names", "relations", "compared"),
    [
        (("receipts", "public.receipts"), ("public.receipts", "public.receipts"), True),
        (("receipts", "receipts"), ("public.receipts", "audit.receipts"), False),
        (("receipts", "audit.receipts"), ("public.receipts", None), False),
        (("receipts", "receipts"), ("public.receipts", None), True),
        ((None, None), (None, None), True),
    ],
)
def test_indexes_are_compared_only_where_both_checks_looked_at_one_table(
    names: tuple[str | None, str | None], relations: tuple[str | None, str | None], compared: bool
) -> None:
    def look(name: str | None, relation: str | None, **changes: object) -> database_checks.DatabaseCheck:
        table = fakes_database.reading().table
        assert table is not None
        found = None if name and not relation else table.model_copy(update={"relation": relation, **changes})
        return fakes_database.check(table=name, reading=fakes_database.reading(table=found))

    difference = database_differences.compare(look(names[0], relations[0]), look(names[1], relations[1], indexes=[]))

    assert [change.section for change in difference.changes] == (["index"] if compared else [])
    assert difference.known == compared


def test_a_check_that_read_nothing_cannot_be_compared() -> None:
    with pytest.raises(errors.EvidenceUnknown, match="B holds no reading"):
        database_differences.compare(fakes_database.check(), fakes_database.check(reading=None))


def test_a_check_is_read_back_from_its_bytes_as_it_was() -> None:
    check = fakes_database.check()

    assert models.read(database_checks.DatabaseCheck, check.content()) == check
