"""Chunks through whatever a log does to them: the exact document comes out, or words that say what is missing."""

import itertools
import random
from collections.abc import Callable, Sequence

import hypothesis
import pytest
from hypothesis import strategies

from burst.domain.basics import canonical, errors
from burst.domain.documents import chunks

DOCUMENT = canonical.encode({"counts": {"ADMIT": 7}, "padding": "ü" * 13_000})
OTHER = canonical.encode({"counts": {"ADMIT": 8}})
LINES = chunks.lines("s-0001", DOCUMENT)
NOISE = ["burst: waiting for the database", "a line burst:answer:1: that only speaks of one", "{}", ""]


def heard(messages: Sequence[str]) -> chunks.Heard:
    return chunks.Heard().hear(messages)


def cut(line: str, *places: int) -> list[str]:
    edges = [0, *places, len(line)]
    return [line[begin:end] for begin, end in itertools.pairwise(edges)]


def damaged(line: str) -> str:
    middle = len(line) // 2
    return line[:middle] + ("A" if line[middle] != "A" else "B") + line[middle + 1 :]


WHOLE: dict[str, Callable[[], list[str]]] = {
    "as it was printed": lambda: [*LINES],
    "twice": lambda: [*LINES, *LINES],
    "out of order": lambda: [*reversed(LINES)],
    "split in two events": lambda: [piece for line in LINES for piece in cut(line, 4000)],
    "split within the marker": lambda: [piece for line in LINES for piece in cut(line, 3)],
    "split in many": lambda: [piece for line in LINES for piece in cut(line, *range(700, len(line), 700))],
    "between other lines": lambda: [piece for line in LINES for piece in (*NOISE, line)],
    "split, with another line in between": lambda: [
        piece for line in LINES for piece in (cut(line, 4000)[0], "a warning of a library", cut(line, 4000)[1])
    ],
    "several to an event": lambda: ["".join(LINES)],
    "damaged, and whole again": lambda: [damaged(LINES[0]), *LINES],
    "among another answer's": lambda: [*chunks.lines("s-0002", OTHER), *LINES],
}


@pytest.mark.parametrize("deliver", WHOLE.values(), ids=WHOLE)
def test_a_document_comes_out_of_a_log_stream_as_it_went_in(deliver: Callable[[], list[str]]) -> None:
    assert heard(deliver()).document("s-0001") == DOCUMENT


BROKEN: dict[str, tuple[Callable[[], list[str]], str]] = {
    "nothing": (list, "no chunk of s-0001 is in the log"),
    "other lines alone": (lambda: NOISE, "no chunk of s-0001 is in the log"),
    "another answer": (lambda: [*chunks.lines("s-0002", OTHER)], "no chunk of s-0001 is in the log"),
    "the first missing": (lambda: [*LINES[1:]], "of s-0001 the log has 4 of 5 chunks; missing: 1"),
    "the last missing": (lambda: [*LINES[:-1]], "missing: 5"),
    "two missing": (lambda: [LINES[0], LINES[2], LINES[4]], "missing: 2, 4"),
    "one damaged": (lambda: [damaged(LINES[0]), *LINES[1:]], "missing: 1; 1 chunk came damaged"),
    "one cut short": (lambda: [*LINES[:-1], LINES[-1][:-9]], "missing: 5"),
    "one without its beginning": (lambda: [*LINES[:-1], LINES[-1][20:]], "missing: 5"),
}


@pytest.mark.parametrize(("deliver", "said"), BROKEN.values(), ids=BROKEN)
def test_what_is_missing_is_said_and_no_document_comes_out(deliver: Callable[[], list[str]], said: str) -> None:
    found = heard(deliver())

    assert found.document("s-0001") is None
    assert said in found.missing("s-0001")


def test_nothing_is_missing_of_a_document_that_is_there() -> None:
    assert heard(LINES).missing("s-0001") == ""


def test_two_documents_of_one_name_are_not_chosen_between() -> None:
    with pytest.raises(errors.EvidenceCorrupt, match="2 different documents named s-0001"):
        heard([*LINES, *chunks.lines("s-0001", OTHER)]).document("s-0001")


def test_parts_that_do_not_make_the_document_they_name_are_refused() -> None:
    """Every chunk is sound by itself, and the whole is another than the one they speak of."""
    sha256 = canonical.digest(DOCUMENT)
    (line,) = chunks.lines("s-0001", OTHER)
    forged = line.replace(canonical.digest(OTHER), sha256)

    with pytest.raises(errors.EvidenceCorrupt, match="do not make the document"):
        heard([forged]).document("s-0001")


def test_no_line_is_longer_than_8_kib_and_small_answers_are_one_line() -> None:
    assert max(len(line.encode()) for line in LINES) <= 8192
    assert len(chunks.lines("s" * 100, OTHER)) == 1


@pytest.mark.parametrize("answer_id", ["", "a b", "a:b", "x" * 101])
def test_a_name_that_no_line_could_carry_is_refused(answer_id: str) -> None:
    with pytest.raises(ValueError, match="cannot name an answer"):
        chunks.lines(answer_id, OTHER)


@pytest.mark.parametrize("size", [0, chunks.LARGEST_DOCUMENT + 1])
def test_an_empty_or_endless_document_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="allowed: 1 to"):
        chunks.lines("s", b"x" * size)


@hypothesis.given(
    content=strategies.binary(min_size=1, max_size=40_000),
    seed=strategies.integers(0, 2**32),
    noise=strategies.lists(
        strategies.text(alphabet="ab {}:.\n", max_size=30).map(lambda text: f"{text} -"), max_size=6
    ),
)
def test_late_twice_out_of_order_split_and_mixed_with_others_gives_the_exact_document(
    content: bytes, seed: int, noise: list[str]
) -> None:
    chance = random.Random(seed)
    lines = [*chunks.lines("x", content), *chunks.lines("x", content)]
    chance.shuffle(lines)
    delivered: list[str] = []
    for line in lines:
        places = sorted(chance.sample(range(1, len(line)), k=min(3, len(line) - 1))) if chance.random() < 0.5 else []
        for piece in cut(line, *places):
            delivered += [*(noise if chance.random() < 0.3 else []), piece]

    assert heard(delivered).document("x") == content


@hypothesis.given(
    content=strategies.binary(min_size=1, max_size=30_000), events=strategies.data(), seed=strategies.integers(0, 2**32)
)
def test_a_stream_that_loses_and_damages_what_it_likes_never_gives_another_document(
    content: bytes, events: strategies.DataObject, seed: int
) -> None:
    chance = random.Random(seed)
    pieces = [piece for line in chunks.lines("x", content) for piece in cut(line, len(line) // 2)]
    kept = [piece for piece in pieces if chance.random() > 0.1]
    spoiled = [damaged(piece) if chance.random() < 0.1 else piece for piece in kept]
    cut_at = events.draw(strategies.integers(0, len(spoiled)))

    found = heard([*spoiled[cut_at:], *spoiled[:cut_at]])

    try:
        document = found.document("x")
    except errors.EvidenceCorrupt:
        return
    assert document in (None, content)
    assert (document is None) == bool(found.missing("x"))
