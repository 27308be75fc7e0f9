"""The runbooks' commands do what the pages say.

Executed here, in `make test`: every command of every `console` block, in the order of its page, in one shell a page,
on a real Postgres, a real gateway and the simulated AWS, with real runs behind the names (`runs.py`); the example plans
are as they stand but for their host and their seconds (`conftest.AS_TESTED`). Output is compared whole, stdout and
stderr together, `...` standing for what varies; a command that fails must be followed by `echo $?` on its page.

A `console rehearsal` block plays a whole run on a simulated AWS, most of a minute each: `make runbooks` plays all of
them, with the plan exactly as it stands; `make test` plays those in `PLAYED`, and the words of all others are read by
the command line's own parser (`test_pages.py`).
"""

from concurrent import futures
from pathlib import Path

import pytest

from tests.runbooks import conftest, pages, playing, runs

PAGES = [page for page in pages.every() if page.quick()]


def lanes() -> list[list[pages.Page]]:
    """Pages that may be played beside each other: two runs of one name at work at once would end each other."""
    alone = [page for page in PAGES if runs.named(page) & runs.UNFINISHED.keys()]
    return [alone, [page for page in PAGES if page not in alone]]


@pytest.mark.timeout(1500)
def test_the_commands_of_every_page_show_what_it_says(
    home: conftest.Home, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    def play(lane: list[pages.Page]) -> dict[str, list[playing.Played]]:
        return {page.name: home.play(page, tmp_path / page.path.stem) for page in lane}

    with futures.ThreadPoolExecutor() as pool:
        played = {name: one for lane in pool.map(play, lanes()) for name, one in lane.items()}

    assert len(played) == len(PAGES)
    for name, one in sorted(played.items()):
        with subtests.test(name):
            found = playing.problems(one)
            assert not found, "\n\n".join(found)
