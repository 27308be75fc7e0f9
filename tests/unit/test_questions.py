"""Questions and answers between a controller and a counting task of another version: read, and written the same."""

import json

import pytest

from burst.domain.basics import canonical, errors
from burst.domain.documents import models, questions, task_answers

# As the first version wrote them.
QUESTIONS: dict[str, bytes] = {
    "count": (
        b'{"ask":{"bucket_seconds":60,"kind":"count","scope":"a","window":{"end_utc":"2026-02-21T02:01:00Z","s'
        b'tart_utc":"2026-02-21T02:00:00Z"}},"number":1,"patience_seconds":5,"schema":"burst.question/v1","ses'
        b'sion":"count-001"}'
    ),
    "clock": (
        b'{"ask":{"kind":"clock"},"number":1,"patience_seconds":5,"schema":"burst.question/v1","session":"count-001"}'
    ),
    "fact": (
        b'{"ask":{"kind":"fact","scope":"a","sql":"select 1"},"number":1,"patience_seconds":5,"schema":"burst.'
        b'question/v1","session":"count-001"}'
    ),
    "problems": (
        b'{"ask":{"kind":"problems"},"number":1,"patience_seconds":5,"schema":"burst.question/v1","session":"c'
        b'ount-001"}'
    ),
    "follow": (
        b'{"ask":{"every_seconds":2,"kind":"follow","scope":null,"settle_seconds":1,"start_utc":"2026-02-21T02'
        b':00:00Z"},"number":1,"patience_seconds":5,"schema":"burst.question/v1","session":"count-001"}'
    ),
}
ANSWERS: dict[str, bytes] = {
    "count": (
        b'{"number":1,"question_sha256":"0000000000000000000000000000000000000000000000000000000000000000","sc'
        b'hema":"burst.answer/v1","session":"count-001","told":{"binds":{"start":"x"},"buckets":[{"counts":{"A'
        b'DMIT":3,"DUPLICATE":0,"QUARANTINE":0,"other":1},"end_utc":"2026-02-21T02:01:00Z","start_utc":"2026-0'
        b'2-21T02:00:00Z"}],"clock":{"database_now_utc":"2026-02-21T02:00:00Z","kind":"clock","round_trip_seco'
        b'nds":0.25,"skew_seconds":0.5},"counts":{"ADMIT":3,"DUPLICATE":0,"QUARANTINE":0,"other":1},"kind":"co'
        b'unt","scope":"a","sql":"select","window":{"end_utc":"2026-02-21T02:01:00Z","start_utc":"2026-02-21T0'
        b'2:00:00Z"}}}'
    ),
    "clock": (
        b'{"number":1,"question_sha256":"0000000000000000000000000000000000000000000000000000000000000000","sc'
        b'hema":"burst.answer/v1","session":"count-001","told":{"database_now_utc":"2026-02-21T02:00:00Z","kin'
        b'd":"clock","round_trip_seconds":0.25,"skew_seconds":0.5}}'
    ),
    "fact": (
        b'{"number":1,"question_sha256":"0000000000000000000000000000000000000000000000000000000000000000","sc'
        b'hema":"burst.answer/v1","session":"count-001","told":{"kind":"fact","value":7}}'
    ),
    "problems": (
        b'{"number":1,"question_sha256":"0000000000000000000000000000000000000000000000000000000000000000","sc'
        b'hema":"burst.answer/v1","session":"count-001","told":{"kind":"problems","problems":["p"]}}'
    ),
    "failure": (
        b'{"number":1,"question_sha256":"0000000000000000000000000000000000000000000000000000000000000000","sc'
        b'hema":"burst.answer/v1","session":"count-001","told":{"error":"refused","kind":"failure","words":"no'
        b'"}}'
    ),
}


@pytest.mark.parametrize("kind", QUESTIONS)
def test_a_question_of_the_first_version_is_read(kind: str) -> None:
    document = models.read(questions.QuestionDocument, QUESTIONS[kind])

    assert document.ask.kind == kind


@pytest.mark.parametrize("kind", [kind for kind in QUESTIONS if kind != "follow"])
def test_a_question_that_the_first_version_knows_is_written_as_it_wrote_it(kind: str) -> None:
    assert models.read(questions.QuestionDocument, QUESTIONS[kind]).content() == QUESTIONS[kind]


def test_a_question_to_follow_gains_its_end_and_ceiling_and_is_else_written_as_before() -> None:
    document = models.read(questions.QuestionDocument, QUESTIONS["follow"])

    value = json.loads(QUESTIONS["follow"])
    value["ask"] |= {"until_utc": None, "database_seconds_max": None}
    assert document.content() == canonical.encode(value)


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_of_the_first_version_is_read_without_the_figures_that_it_did_not_tell(kind: str) -> None:
    document = models.read(task_answers.AnswerDocument, ANSWERS[kind])

    value = {**json.loads(ANSWERS[kind]), "driver": None}
    value["told"] |= {"pages": None} if kind == "count" else {}
    assert document.told.kind == kind
    assert document.content() == canonical.encode(value)


def test_the_failure_of_a_question_of_a_kind_to_come_differs_from_that_of_a_broken_one() -> None:
    unknown = QUESTIONS["clock"].replace(b'"kind":"clock"', b'"kind":"to-come"')
    broken = QUESTIONS["fact"].replace(b'"sql":"select 1"', b'"sql":1')

    def failure(content: bytes) -> task_answers.FailureAnswer:
        with pytest.raises(errors.BurstError) as refusal:
            models.read(questions.QuestionDocument, content)
        return task_answers.FailureAnswer.from_error(refusal.value)

    assert failure(unknown).unknown_kind
    assert not failure(broken).unknown_kind
    assert isinstance(failure(unknown).failure, errors.Refused)
