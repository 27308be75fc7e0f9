"""A generator that does not send what its plan makes due: the verdict says so, with figures, and blames nobody else."""

import json

from tests.faults import stage


def test_a_generator_that_cannot_keep_its_rate_is_b9_with_what_it_sent_of_what_was_due(play: stage.Stage) -> None:
    # One connection a task sends some hundred events a second, and 4,000 are due.
    plan = play.plan({"load": {"rate": 480_000}, "gates": {"multiplier": 0.5}}, window=3)

    command, ran = play.begin(plan)
    answer = command.wait()

    assert answer.code == stage.OVER
    assert stage.open_blockers(answer.document) == {"B9"}
    (entry,) = (entry for entry in answer.document["blocker_register"] if entry["blocker"] == "M10F-B9")
    load = json.loads((ran.folder / "m10_f_load.json").read_text())
    in_time = sum(task["in_time"] for task in load["tasks"])
    due = sum(task["due"] - task["undecided"] for task in load["tasks"])
    latest_seconds = max(task["latest_seconds"] for task in load["tasks"])
    words = f"the generator withheld load: sent {in_time:,} of {due:,} due, latest {latest_seconds:.1f} s late"
    assert words in entry["why"]
    assert play.verify(ran) == stage.OVER
