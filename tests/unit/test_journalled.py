from pathlib import Path

from tests import journalled


def test_a_line_that_is_being_written_and_one_that_a_crash_cut_are_passed_over(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    assert journalled.whole_events(journal) == []

    journal.write_bytes(b'{"event": "armed"}\n{"event": "go-gi\n{"event": "go-given"}\n{"event": "task-seen", "ta')

    assert [event["event"] for event in journalled.whole_events(journal)] == ["armed", "go-given"]
