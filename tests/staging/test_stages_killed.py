"""`burst db stage` killed at every line of its journal, durable or half written, and resumed: the same end each time.

A whole line that is the last one is an intent without its act, or a fact with nothing after it; half a line is an act
whose fact was lost. `make matrix` kills at each line both ways, `make test` at each line one way.
"""

import os

import pytest

from burst.domain.documents import database_stages, models
from tests.faults import controller_driver
from tests.staging import conftest, staging_driver

EVERYTHING = os.environ.get("BURST_KILLS") == "all"
LINES = 36
CHUNKS = 4
FILE = f"""
environment: dev
stages:
  A:
    apply:
      - ALTER SYSTEM SET work_mem = '32MB'
      - {conftest.INDEX}
      - ALTER ROLE burst SET random_page_cost = 2
    check: {{command: [echo, '{{"p95": 1}}']}}
    red_line: [{{figure: p95, at_most: 2}}]
  B:
    apply:
      - ALTER SYSTEM SET work_mem = '64MB'
      - CREATE EXTENSION pg_stat_statements
      - DROP INDEX CONCURRENTLY receipts_scope
    check: {{command: [echo, '{{"p95": 3}}']}}
    red_line: [{{figure: p95, at_most: 2}}]
"""


def end_of(desk: conftest.Desk) -> tuple[int, list[str], bytes]:
    """The exit code, how each stage ended, and the database: by the documents of the folder."""
    content = (desk.folder / "staging" / database_stages.NAME).read_bytes()
    result = models.read(database_stages.DatabaseStages, content)
    assert result.roll_back is not None
    return result.exit_code, [stage.end for stage in result.stages], desk.snapshot().content()


def play(desk: conftest.Desk, death: controller_driver.Death) -> None:
    """One death, and the resume after it."""
    words = ["db", "stage", str(desk.write(FILE)), "--dsn", "env:STAGE_DSN", "--folder", str(desk.folder / "staging")]
    environment = {**os.environ, "STAGE_DSN": desk.dsn}
    code = staging_driver.run_until_killed(words, death, environment=environment, said=desk.folder / "said")
    assert code == -9, (death, (desk.folder / "said.err").read_text())
    if death == controller_driver.Death(line=1, torn=True):
        assert desk.resume().code == 7
        (desk.folder / "staging").rename(desk.folder / "never begun")
        assert desk.stage(FILE).code == 3
        return
    assert desk.resume().code == 3, death


@pytest.mark.timeout(480)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_process_killed_at_any_line_is_resumed_to_the_same_end(desk: conftest.Desk, chunk: int) -> None:
    at_first = desk.snapshot().content()
    assert desk.stage(FILE).code == 3
    expected = end_of(desk)
    lines = len((desk.folder / "staging" / "journal.jsonl").read_bytes().splitlines())

    for line in range(1 + chunk, lines + 1, CHUNKS):
        for torn in (False, True) if EVERYTHING else (line // CHUNKS % 2 == 0,):
            (desk.folder / "staging").rename(desk.folder / f"before {line} {torn}")
            conftest.clear_configuration(desk.dsn)
            desk.ask("DROP INDEX receipts_scope")
            assert desk.snapshot().content() == at_first
            play(desk, controller_driver.Death(line=line, torn=torn))
            assert end_of(desk) == expected, (line, torn)

    assert lines == LINES
