"""Redaction: no secret, no credentials, no control characters in anything that words from outside get into."""

import base64
import json
import urllib.parse
from collections.abc import Callable

import hypothesis
import pytest
from hypothesis import strategies as st

from burst.adapters import secrets
from burst.control import recorder, run_documents
from burst.domain.basics import canonical, redaction
from burst.domain.documents import document_names, driver_entries, fact_answers, task_results
from burst.domain.run import journals
from burst.domain.run.events import base, codec, ending_events, errand_events, launch_events, watch_events
from burst.domain.tasks import tasks
from tests import cases, fakes, fakes_evidence, fakes_journal

PASSWORD = "p@ss/w:0rd %& x"
DSN = f"postgresql://counter:{urllib.parse.quote(PASSWORD, safe='')}@db:5432/burst?sslmode=require"
KEY = "key+with/signs=="
REDACTOR = redaction.Redactor((DSN, KEY))
SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "quoted": lambda value: urllib.parse.quote(value, safe=""),
    "quoted as a form": urllib.parse.quote_plus,
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "base64 for addresses": lambda value: base64.urlsafe_b64encode(value.encode()).decode().rstrip("="),
    "as JSON": lambda value: json.dumps(value)[1:-1],
    "in Python": lambda value: repr(value)[1:-1],
}
HOSTILE = f"\x1b[2J\x1b]0;title\x07no route to {DSN} \x9b31m\u202e with {PASSWORD}, x-api-key: {KEY}\r\nand\x00 more"
PLANTED = (PASSWORD, urllib.parse.quote(PASSWORD, safe=""), KEY, "\x1b", "\x9b", "\u202e", "\x00", "\r")
SEEN = tasks.TaskTruth(
    task=tasks.Task(task_id="local:1:2.0", shard_index=0),
    status=tasks.TaskStatus.STOPPED,
    exit_code=1,
    stop_code=HOSTILE,
    detail=HOSTILE,
)
SHORTAGE = tasks.LaunchFailure(shortage=tasks.Shortage.CAPACITY, reason=HOSTILE)
EVENTS: tuple[base.Event, ...] = (
    launch_events.LayerFailed(layer="schedule", why=HOSTILE),
    launch_events.LaunchFailed(why=HOSTILE),
    launch_events.LaunchAnswered(tasks=(), failures=(SHORTAGE,)),
    watch_events.Blind(why=HOSTILE),
    watch_events.OperatorStop(reason=HOSTILE),
    ending_events.StopIntended(reason=HOSTILE, force=False, early_stop=None),
    ending_events.StopUnsent(task_id="local:1:2.0", why=HOSTILE),
    ending_events.MeasureFailed(why=HOSTILE),
    watch_events.CountBlind(why=HOSTILE),
    watch_events.LeaseUnwritable(why=HOSTILE),
    errand_events.ServicesFailed(why=HOSTILE),
    errand_events.ServicesRestored(back={"api": HOSTILE}, problems={"worker": HOSTILE}),
    errand_events.OneShotUnanswered(name="warm", why=HOSTILE),
    watch_events.TaskSeen.from_truth(SEEN),
    ending_events.DisarmFailed(why=HOSTILE),
)
TOLD_IN_DOCUMENTS = (
    launch_events.LayerFailed,
    watch_events.Blind,
    watch_events.TaskSeen,
    ending_events.StopIntended,
    ending_events.MeasureFailed,
)


def free_of_planted(content: str) -> bool:
    return not [planted for planted in PLANTED if planted in content or json.dumps(planted)[1:-1] in content]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: str(event.wire_name))
def test_no_event_takes_words_from_outside_into_the_journal_as_they_are(event: base.Event) -> None:
    journal = fakes_journal.MemoryJournal(fakes.TickingClock().now)
    record = recorder.Recorder(journal, REDACTOR)

    entry = record.note(event)

    assert free_of_planted(journal.prefix().decode())
    assert "and more" in json.dumps(codec.encode(entry.event), ensure_ascii=False)
    assert list(journals.parse(journal.prefix(), "the journal")) == [entry]
    assert journals.fold(journal.entries()) == record.run


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("secret", [DSN, PASSWORD, KEY])
def test_a_secret_is_masked_in_every_spelling(secret: str, spelling: str) -> None:
    spelled = SPELLINGS[spelling](secret)

    shown = REDACTOR.text(f"before {spelled} after")

    assert spelled not in shown
    assert shown.startswith("before")
    assert shown.endswith("after")


def test_a_secret_of_several_lines_is_masked_also_where_its_lines_were_joined() -> None:
    secret = "-----BEGIN-----\nabcdef\n-----END-----"
    redactor = redaction.Redactor((secret,))

    assert redactor.text(f"it was {secret}.") == "it was ***."
    assert redactor.text(f"it was {secret.replace(chr(10), ' ')}.") == "it was ***."


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("GET https://user:pw@host/path failed", "GET https://***@host/path failed"),
        ("amqp://a:b/c@d@host", "amqp://***@host"),
        ("GET https://host/path?X-Amz-Signature=abc&b=c: 403", "GET https://host/path?*** 403"),
        ("url: /v1/ingest?api_key=abc (caused by", "url: /v1/ingest?*** (caused by"),
        ("https://host/#access_token=abc", "https://host/#***"),
        ("host=db password='a b' user=x", "host=db password=*** user=x"),
        ("env: PGPASSWORD=abc db_password=abc", "env: PGPASSWORD=*** db_password=***"),
        ('{"password": "a, b", "user": "x"}', '{"password": ***, "user": "x"}'),
        ("aws_secret_access_key = a/b+c aws_session_token=abc", "aws_secret_access_key = *** aws_session_token=***"),
        ("{'SecretAccessKey': 'abc', 'SessionToken': 'abc'}", "{'SecretAccessKey': ***, 'SessionToken': ***}"),
        ("Authorization: Bearer abc.def.ghi, again", "Authorization: ***, again"),
        ("{'x-api-key': 'abc'}", "{'x-api-key': '***'}"),
    ],
)
def test_credentials_nobody_resolved_here_are_masked_in_addresses_and_headers(words: str, shown: str) -> None:
    assert redaction.Redactor().text(words) == shown


@pytest.mark.parametrize(
    "words",
    [
        "arn:aws:ecs:eu-west-1:123456789012:task/burst/0a1b",
        "s3://evidence/control/m10_x/journal.jsonl exists with other content; nothing was overwritten",
        "burst/load:1.2@sha256:0123 is not there; is it pushed?",
        "see https://example.com/runbooks#exit-4",
        "relation « reçus » does not exist",
        'password authentication failed for user "counter"',
        "select count(*) from receipts where scope = :scope and data ? 'key'",
    ],
)
def test_words_without_secrets_stay_as_they_are(words: str) -> None:
    assert REDACTOR.text(words) == words


@pytest.mark.parametrize("piece", ["a", "x-", "x-key", "://", "://#", "/?", "a?", "key", "authorization", "password="])
def test_a_text_of_any_length_is_read_once(piece: str) -> None:
    """Where it was read again from each of its places, 100 kB took 15 s, and twice the length four times as long."""
    words = piece * (1_000_000 // len(piece))

    assert redaction.Redactor().text(words, statement=True) in (words, f"password={redaction.MASK}")
    cleaned = redaction.Redactor().text(f"{words} x-api-key: k s3://u:p@h/{words}?a=b#{words}", statement=True)
    assert cleaned.partition(" ")[2].startswith(f"x-api-key: {redaction.MASK} s3://")
    assert "u:p" not in cleaned
    assert "a=b" not in cleaned


def test_an_identifier_stays_whatever_the_secrets_are() -> None:
    redactor = redaction.Redactor(("m10_2026", "stopped"))
    fields = {"execution_id": "m10_20260221T020923Z", "status": "stopped", "why": "m10_20260221T020923Z stopped"}

    assert redactor.fields(fields) == {**fields, "why": "***0221T020923Z ***"}


def test_a_statement_keeps_its_lines_and_an_essay_is_cut() -> None:
    essay = "word " * 5000
    statement = f"select 1\n-- {essay}\n\tfrom x"

    shown = redaction.Redactor().fields({"sql": statement, "why": essay})

    assert shown["sql"] == statement
    assert len(shown["why"]) == redaction.LONGEST


@hypothesis.given(
    st.lists(
        st.sampled_from([*HOSTILE, "***", "://", "?", "@", "#a=", DSN, KEY, "a" * 3990, "password=", "\ud800", "…"])
    ),
    st.booleans(),
)
def test_cleaning_what_is_clean_changes_nothing(parts: list[str], statement: bool) -> None:
    once = REDACTOR.text("".join(parts), statement=statement)

    assert REDACTOR.text(once, statement=statement) == once
    assert redaction.plain(once) == once
    once.encode()


def test_the_names_of_counts_are_clean_too_and_none_of_the_counts_is_lost() -> None:
    """A class of errors is named by the program or its peer, and stands as a key."""
    redactor = redaction.Redactor(["hunter2secret"])
    failed = {"Bad\x1b[2J\u202e": 3, "Bad": 2, "GET /x?token=abc": 1, "key hunter2secret": 4, "timed out": 5}
    failed |= {"hunter2secret": 6, "hunter2secret/v1": 7}

    cleaned = redactor.fields({"tasks": [{"failed": failed}]})["tasks"][0]["failed"]

    assert cleaned == {"Bad": 5, "GET /x?***": 1, "key ***": 4, "timed out": 5, "***": 6, "***/v1": 7}
    assert redactor.fields({"failed": cleaned})["failed"] == cleaned


@pytest.mark.parametrize("rows", ["requests", "requests_statistics", "failures_statistics", "response_time_statistics"])
def test_the_name_that_a_program_gives_its_requests_is_no_identifier(rows: str) -> None:
    redactor = redaction.Redactor(["hunter2secret"])
    requests = [{"name": "ingest/hunter2secret", "num": 1}, {"name": "ingest/v1", "num": 2}]

    cleaned = redactor.fields({rows: requests})[rows]

    assert [each["name"] for each in cleaned] == ["ingest/***", "ingest/v1"]


def test_ids_that_stand_as_keys_stay_whatever_the_secrets_are() -> None:
    redactor = redaction.Redactor(("burst-dev",))
    claims = {"arn:aws:ecs:eu-west-1:123456789012:task/burst-dev/0a1b": 0}

    assert redactor.fields({"claims": claims}) == {"claims": claims}


def test_secrets_resolved_while_a_run_goes_on_are_known_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATE_KEY", "resolved-late-0123")
    redactor = redaction.Redactor(secrets.RESOLVED)

    before = redactor.text("it is resolved-late-0123")
    secrets.resolve("env:LATE_KEY")

    assert before == "it is resolved-late-0123"
    assert redactor.text("it is resolved-late-0123") == "it is ***"


def test_no_document_of_a_run_holds_what_an_adapter_said_and_the_verdict_follows_from_what_it_holds() -> None:
    plan = cases.plan(
        execution_id=cases.EXECUTION_ID,
        facts=[{"name": "a", "blocker": "M10F-B7", "sql": "select\n1", "equals": "yes"}],
    )
    store = fakes_evidence.MemoryEvidenceStore()
    journal = fakes_journal.MemoryJournal(fakes.TickingClock().now)
    record = recorder.Recorder(journal, REDACTOR)
    for name, content in run_documents.input_documents(plan, None, None):
        store.put_once(name, content)
    record.note(cases.run_created())
    record.note(watch_events.OperatorStop(reason=HOSTILE))
    for event in EVENTS:
        if isinstance(event, TOLD_IN_DOCUMENTS):
            record.note(event)
    frozen = run_documents.RunDocuments(plan=plan, record=record, store=store, render=lambda *_: b"a report")
    layer = task_results.LayerEntry(name="schedule", state="not-armed", detail=HOSTILE)
    fact = fact_answers.FactEntry(
        blocker="M10F-B7", name="a", value="\x1b[0myes", equals="yes", source="select\n1", detail=HOSTILE
    )

    frozen.freeze_facts([fact], driver=driver_entries.DriverEntry(figures=None, no_data=HOSTILE))
    verdict = frozen.publish(layers=[layer])

    everything = b"".join(store.documents.values()).decode()
    assert free_of_planted(everything)
    assert "and more" in everything
    facts = canonical.decode(store.documents[document_names.facts_name("m10_f")])["facts"]
    assert (facts[0]["value"], facts[0]["source"]) == (None, "select\n1")
    assert not verdict.snapshot.document()["overall_pass"]
