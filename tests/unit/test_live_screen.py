"""The pictures of the live view: what each situation shows stands in `docs/pictures`, and changes only on purpose."""

import io

import pytest
from rich import console as rich_console

from burst.report import live_screen
from tests import live_situations

SIZES = live_situations.SIZES


def draw(name: str, columns: int, rows: int, encoding: str = "utf-8") -> list[str]:
    """The rows of a situation on a terminal without colour."""
    bytes_written = io.BytesIO()
    file = io.TextIOWrapper(bytes_written, encoding=encoding, errors="strict")
    console = rich_console.Console(file=file, width=columns, height=rows, color_system=None, legacy_windows=False)
    console.print(live_screen.LiveScreen(live_situations.build(name)))
    file.flush()
    return bytes_written.getvalue().decode(encoding).splitlines()


@pytest.mark.parametrize(("columns", "rows"), SIZES)
@pytest.mark.parametrize("name", live_situations.SITUATIONS)
def test_each_situation_is_drawn_as_its_picture_shows_it(name: str, columns: int, rows: int) -> None:
    """After a change on purpose: python -m tests.live_situations"""
    picture = live_situations.find_text(name, columns, rows).read_text()

    assert [row.rstrip() for row in draw(name, columns, rows)] == picture.splitlines()


@pytest.mark.parametrize(("columns", "rows"), [*SIZES, (40, 12), (20, 3), (200, 60)])
@pytest.mark.parametrize("name", live_situations.SITUATIONS)
def test_no_row_is_wider_than_the_terminal_and_no_more_are_drawn_than_it_has(
    name: str, columns: int, rows: int
) -> None:
    drawn = draw(name, columns, rows)

    assert 0 < len(drawn) <= rows
    assert max(map(len, drawn)) <= columns


@pytest.mark.parametrize("name", live_situations.SITUATIONS)
def test_a_terminal_of_ascii_gets_ascii(name: str) -> None:
    drawn = draw(name, 80, 24, encoding="ascii")

    assert len(drawn) == len(draw(name, 80, 24))


def test_a_gate_that_is_short_is_kept_where_there_is_no_room_for_all() -> None:
    drawn = "\n".join(draw("hold", 80, 16))

    assert "lost  multiplier" in drawn
    assert "ok    runtime_budget" not in drawn


def test_secrets_are_masked_in_every_row() -> None:
    file = io.StringIO()
    console = rich_console.Console(file=file, width=80, height=24, color_system=None)

    console.print(live_screen.LiveScreen(live_situations.build("blind"), lambda row: row.replace("refused", "*******")))

    assert "connection *******" in file.getvalue()
    assert "refused" not in file.getvalue()
