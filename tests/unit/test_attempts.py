"""Attempts: each run of a phase has its own number, and a PASS after HOLDs says so wherever it is read."""

import json
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent import futures
from pathlib import Path

import pytest

from burst import evidence, ports
from burst.adapters.local import folder_store
from burst.control import attempting
from burst.domain.basics import canonical, errors
from burst.domain.documents import attempts, document_names
from burst.domain.plan import catalogues, plans
from burst.report import comparison, html, terminal
from burst.wiring import attempt_places
from tests import cases, fakes_evidence, waiting
from tests.evidence import evidencing

CONTRACT, OTHER_CONTRACT = "a" * 64, "b" * 64
SNAPSHOT = document_names.snapshot_name("m10_f", catalogues.Kind.BURST)


def run_plan(number: int) -> plans.Plan:
    return cases.plan(execution_id=f"m10_20260221T020923Z_{number:06x}")


def places(
    claims: ports.EvidenceStore | None = None, runs: dict[str, ports.EvidenceStore] | None = None
) -> attempting.AttemptPlaces:
    empty = fakes_evidence.MemoryEvidenceStore()
    held = {} if runs is None else runs
    return attempting.AttemptPlaces(
        claims=claims or fakes_evidence.MemoryEvidenceStore(), open_run=lambda run: held.get(run, empty)
    )


def claim(number: int, where: attempting.AttemptPlaces, contract: str = CONTRACT) -> attempts.AttemptClaim:
    return attempting.claim(run_plan(number), contract, cases.moment(number), where)


def finished(number: int, *, passed: bool) -> tuple[str, ports.EvidenceStore]:
    run = str(run_plan(number).execution_id)
    snapshot = canonical.encode({"execution_id": run, "overall_pass": passed})
    return run, fakes_evidence.MemoryEvidenceStore({SNAPSHOT: snapshot})


def test_each_attempt_names_those_before_it_with_their_verdicts() -> None:
    runs = dict([finished(1, passed=False), finished(2, passed=True)])
    where = places(runs=runs)

    first, second, third, fourth = (claim(number, where) for number in (1, 2, 3, 4))

    assert [attempt.number for attempt in (first, second, third, fourth)] == [1, 2, 3, 4]
    assert [entry.verdict for entry in fourth.earlier] == ["HOLD", "PASS", None]
    assert fourth.earlier[0].sha256 == canonical.digest(runs[first.execution_id].read(SNAPSHOT))


def test_a_verdict_that_came_later_is_known_to_the_attempts_after_it() -> None:
    runs: dict[str, ports.EvidenceStore] = {}
    where = places(runs=runs)
    claim(1, where)
    assert claim(2, where).earlier[0].verdict is None

    runs.update([finished(1, passed=False)])

    assert claim(3, where).earlier[0].verdict == "HOLD"


class CountedStore(fakes_evidence.MemoryEvidenceStore):
    """A store that counts what it is asked."""

    def __init__(self, documents: Mapping[str, bytes] | None = None) -> None:
        super().__init__(documents)
        self.calls: Counter[str] = Counter()

    def names(self) -> Sequence[str]:
        self.calls["names"] += 1
        return super().names()

    def read(self, name: str) -> bytes:
        self.calls["read"] += 1
        return super().read(name)


def test_a_claim_costs_a_listing_a_read_and_a_read_for_each_attempt_without_a_verdict() -> None:
    claims, runs = CountedStore(), {}
    for number in (1, 2, 3):
        name, snapshot = finished(number, passed=False)
        runs[name] = CountedStore({SNAPSHOT: snapshot.read(SNAPSHOT)})
    where = places(claims, dict(runs))
    for number in (1, 2, 3):
        claim(number, where)
    before = Counter(claims.calls), sum((store.calls for store in runs.values()), Counter[str]())

    fourth = claim(4, where)

    after = Counter(claims.calls), sum((store.calls for store in runs.values()), Counter[str]())
    assert [entry.verdict for entry in fourth.earlier] == ["HOLD"] * 3
    assert after[0] - before[0] == {"names": 1, "read": 1}
    assert after[1] - before[1] == {"read": 1}  # the verdicts of the first two stand in the third claim


def test_attempts_are_counted_over_all_contracts() -> None:
    where = places()
    claim(1, where)

    second = claim(2, where, contract=OTHER_CONTRACT)

    assert (second.number, second.earlier[0].contract, second.contract) == (2, CONTRACT, OTHER_CONTRACT)


@pytest.mark.parametrize("kind", ["memory", "folder"])
def test_16_attempts_begun_at_once_have_16_numbers(kind: str, tmp_path: Path) -> None:
    claims = folder_store.FolderStore(tmp_path) if kind == "folder" else fakes_evidence.MemoryEvidenceStore()
    where, barrier = places(claims), threading.Barrier(16)

    def begin(number: int) -> attempts.AttemptClaim:
        barrier.wait(timeout=waiting.PROCESS_SECONDS)
        return claim(number, where)

    with futures.ThreadPoolExecutor(max_workers=16) as pool:
        claimed = list(pool.map(begin, range(1, 17)))

    assert sorted(attempt.number for attempt in claimed) == list(range(1, 17))
    for attempt in claimed:
        assert len({entry.execution_id for entry in attempt.earlier}) == attempt.number - 1


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"schema":"burst.attempt/v2"}'], ids=["empty", "no claim", "a later one"]
)
def test_a_claim_that_cannot_be_read_lets_nothing_begin(content: bytes) -> None:
    where = places(fakes_evidence.MemoryEvidenceStore({"1.json": content}))

    with pytest.raises(errors.Refused, match=r"attempt 1 of this phase cannot be read.*nothing was launched"):
        claim(2, where)


def test_local_attempts_are_claimed_in_the_folder_of_the_runs(tmp_path: Path) -> None:
    plan = cases.plan(evidence={"local": str(tmp_path / "runs")}, execution_id="m10_one")

    attempting.claim(
        plan, CONTRACT, cases.moment(0), attempt_places.open_places(plan, cases.moment(9), cases.moment(0))
    )

    claimed = json.loads((tmp_path / "runs" / "attempts" / "m10_f" / "1.json").read_bytes())
    assert (claimed["execution_id"], claimed["number"]) == ("m10_one", 1)


def earlier(*verdicts: str | None) -> list[cases.Value]:
    return [
        {"execution_id": f"m10_{at}", "verdict": verdict, "sha256": "c" * 64 if verdict else None, "contract": CONTRACT}
        for at, verdict in enumerate(verdicts)
    ]


def test_a_pass_after_three_holds_says_so_wherever_it_is_shown() -> None:
    own = cases.attempt(earlier("HOLD", "HOLD", None, "HOLD"), contract=OTHER_CONTRACT)
    given = cases.passing().having(attempt=own)

    verdict = given.verdict()
    snapshot = verdict.snapshot

    assert snapshot.exit_reason == "PASS: no blocker open, attempt 5, after 3 HOLDs, 3 of them by other terms"
    assert snapshot.attempt is not None
    assert snapshot.attempt.number == 5
    assert "attempt         5 (before it: 3 HOLD, 1 without a verdict, 4 of them by other terms)" in terminal.render(
        snapshot
    )
    assert "attempt 5, after 3 HOLDs" in html.render(verdict, {}).decode()
    listed = comparison.ListedRun(execution_id="m10_x", state="ok", snapshot=snapshot)
    assert "attempt 5, after 3 HOLDs" in comparison.history([(listed, None)])


def test_a_first_attempt_and_one_after_a_pass_say_nothing_of_holds() -> None:
    for verdicts in ((), ("PASS",)):
        given = cases.passing().having(attempt=cases.attempt(earlier(*verdicts)))

        assert given.verdict().snapshot.exit_reason == "PASS: no blocker open"


def test_an_attempt_of_another_run_is_none_of_this_one_and_opens_b6() -> None:
    verdict = cases.passing().having(attempt=cases.attempt([], execution_id="m10_other")).verdict()

    assert verdict.snapshot.attempt is None
    assert cases.open_shorts(verdict) == {"B6"}


def test_an_attempt_that_does_not_name_all_before_it_is_unreadable() -> None:
    verdict = cases.passing().having(attempt={**cases.attempt([]), "number": 3}).verdict()

    assert cases.open_shorts(verdict) == {"B3"}


def test_prune_keeps_every_claim(tmp_path: Path) -> None:
    runs, execution_id = tmp_path / "runs", evidencing.run_id(1)
    folder = evidencing.folder(runs, execution_id, evidencing.published(evidencing.case(execution_id)))
    plan = cases.plan(evidence={"local": str(runs)}, execution_id=execution_id)
    attempting.claim(
        plan, CONTRACT, cases.moment(0), attempt_places.open_places(plan, cases.moment(9), cases.moment(0))
    )

    evidence.prune(str(runs), keep=evidence.Keep(newest=0, grace_seconds=0.0), really=True)

    assert not (folder / "plan.json").exists()
    assert (runs / "attempts" / "m10_f" / "1.json").is_file()
    assert [attempt.execution_id for attempt in evidence.ls(str(runs))] == [execution_id]


def test_a_whole_run_by_other_terms_after_a_hold_says_so_beside_every_blocker_that_it_clears() -> None:
    def entries(contract: str) -> list[str]:
        before = [{**earlier("HOLD")[0], "contract": contract}]
        given = cases.passing().having(attempt=cases.attempt(before, contract=own))
        return [cases.entry(given.verdict(), short)["why"] for short in catalogues.BURST.shorts]

    own = str(cases.passing().document()["contract"]["sha256"])

    assert all("1 earlier attempt held by other terms" in why for why in entries(OTHER_CONTRACT))
    assert not any("other terms" in why for why in entries(own))
