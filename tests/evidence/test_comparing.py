"""Comparing places: verified evidence in, a closure that verifies out, and a baseline that moves by an UNLOCK alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from burst import evidence
from burst.adapters import signing
from burst.adapters.aws import s3_store
from burst.adapters.local import folder_store
from burst.domain.basics import canonical, errors
from burst.domain.closure import active_baselines, closures
from burst.evidence import comparing, places
from burst.report import closure_text
from tests import cases, closing, fakes, fakes_signing, promoting, publishing
from tests.evidence import evidencing

FAST = closing.vary(runtime={"s4": 54.875})
RUNS: dict[str, Any] = {
    "require_same": ["scope", "profile", "contract", "phase", "environment"],
    "measures": [
        {
            "name": "admits", "document": "metrics", "path": "/counts/ADMIT", "unit": "admits",
            "at_least": cases.ENOUGH_ADMITS,
        }
    ],
    "vetoes": [
        {"name": "status_pass", "rail": "pass", "document": "snapshot", "path": "/overall_pass"},
        {
            "name": "quarantine", "rail": "not_worse", "better": "lower", "document": "metrics",
            "path": "/counts/QUARANTINE",
        },
        {"name": "plan", "rail": "present", "document": "plan", "path": "/phase"},
    ],
}  # fmt: skip


def _compare(
    folder: Path, base: Path | str, *candidates: Path | str, score: bytes | None = None, chain: Path | None = None,
    signer: Any = None, name: str = "closures",
) -> closures.Closure:  # fmt: skip
    """The closure of a comparison, written, and the baseline moved."""
    request = comparing.Request(
        baseline=str(base),
        candidates=[str(candidate) for candidate in candidates],
        score=score or closing.score_bytes(),
        score_source="score.yaml",
        chain=str(chain) if chain else None,
        runs_dir=str(folder / "runs"),
    )
    comparison = comparing.compare(request, places.Opener(), now=cases.STARTED)
    comparing.write(comparison, comparing.open_store(str(folder / name), places.Opener()), signer)
    comparing.move_baseline(comparison, now=cases.STARTED)
    return comparison.closure


def _verify(folder: Path, name: str = "popt3") -> evidence.VerifiedClosure:
    place = folder / "closures" / closures.name_closure(name)
    return evidence.verify_closure(place, [folder / "runs"])


def test_a_closure_of_files_verifies_by_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    closing.write_report(tmp_path, "base", closing.GOOD)
    closing.write_report(tmp_path, "fast", FAST)

    closure = _compare(tmp_path, "base/report.json", "fast/report.json")
    verified = _verify(tmp_path)

    assert closure.unlocked
    assert closure.baseline.source == "base/report.json"
    assert (verified.state, verified.exit_code) == (evidence.EvidenceState.OK, 0), verified.why


def test_a_closure_of_runs_cites_both_snapshots(tmp_path: Path) -> None:
    first, second = (closing.write_run(tmp_path / "runs", number) for number in (1, 2))

    closure = _compare(tmp_path, first, second, score=closing.score_bytes(**RUNS))

    assert closure.unlocked, closure.failures
    assert closure.baseline.sha256 == canonical.digest((first / evidencing.SNAPSHOT).read_bytes())
    assert closure.candidate.sha256 == canonical.digest((second / evidencing.SNAPSHOT).read_bytes())
    assert closure.candidate.run_id == second.name
    assert closure.candidate_refs[0].snapshot_sha256 == closure.candidate.sha256
    assert _verify(tmp_path).exit_code == 0


def test_a_snapshot_stands_for_its_run(tmp_path: Path) -> None:
    first, second = (closing.write_run(tmp_path / "runs", number) for number in (1, 2))
    score = closing.score_bytes(**RUNS)

    by_folder = _compare(tmp_path, first, second, score=score)
    by_snapshot = _compare(
        tmp_path, first / evidencing.SNAPSHOT, second / evidencing.SNAPSHOT, score=score, name="again"
    )

    assert by_snapshot.candidate.sha256 == by_folder.candidate.sha256
    assert by_snapshot.checks == by_folder.checks


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"scope": "platform_20260220T000000Z"}, "same_scope"),
        ({"load": {"command": ["other"]}}, "same_profile"),
        ({"budget": {"max": "90m", "operator_cap": "20m", "min_window": "14m"}}, "same_contract"),
        ({"environment": "dev"}, "same_environment"),
    ],
)
def test_runs_of_other_terms_are_compared_with_nothing(tmp_path: Path, changes: dict[str, Any], check: str) -> None:
    first, second = closing.write_run(tmp_path / "runs", 1), closing.write_run(tmp_path / "runs", 2, **changes)

    closure = _compare(tmp_path, first, second, score=closing.score_bytes(**RUNS))

    assert [failure.split()[:2] for failure in closure.failures] == [[check, "INVALID:"]]
    assert not closure.unlocked
    assert _verify(tmp_path).exit_code == 3


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [("m10_f_facts.json", errors.EvidenceCorrupt), (evidencing.SNAPSHOT, errors.EvidenceIncomplete)],
)
def test_evidence_that_is_not_sound_is_not_scored(tmp_path: Path, spoil: str, kind: type[errors.BurstError]) -> None:
    """A document less of either run ends with verify's exit code, and no closure is written."""
    for spoiled in (0, 1):
        folder = tmp_path / str(spoiled)
        runs = [closing.write_run(folder / "runs", number) for number in (1, 2)]
        (runs[spoiled] / spoil).unlink()

        with pytest.raises(kind):
            _compare(folder, *runs, score=closing.score_bytes(**RUNS))

        assert not (folder / "closures").exists()


def _spoil(path: Path, state: str) -> None:
    if state == "incomplete":
        path.unlink()
    else:
        path.write_text('{"status": "PASS", "status": "FAIL"}')


@pytest.mark.parametrize(("state", "words"), [("incomplete", "there is no"), ("corrupt", "a key stands twice")])
def test_an_unsound_candidate_is_listed_and_the_best_of_the_others_unlocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in (("base", closing.GOOD), ("slow", closing.vary(runtime={"s4": 400.0})), ("fast", FAST)):
        closing.write_report(tmp_path, name, value)
    spoiled = closing.write_report(tmp_path, "spoiled", closing.vary(runtime={"s4": 1.0}))
    _spoil(spoiled, state)

    closure = _compare(tmp_path, "base/report.json", str(spoiled), "slow/report.json", "fast/report.json")
    verified = _verify(Path())
    spoiled.write_text(json.dumps(closing.vary(runtime={"s4": 1.0})))
    mended = _verify(Path())

    assert (closure.best, closure.exit_code) == ("fast/report.json", 0)
    assert [(each.run_root, each.state) for each in closure.unsound] == [("spoiled/report.json", state)]
    assert words in closure.unsound[0].why
    assert str(tmp_path) not in closure.content().decode()
    assert "spoiled/report.json: not scored, its evidence is" in closure_text.render_closure(closure)
    assert verified.exit_code == 0, verified.why
    assert (mended.state, mended.exit_code) == (evidence.EvidenceState.UNKNOWN, 9)
    assert "spoiled/report.json was not scored" in mended.why


def test_a_warm_run_before_its_cold_one_is_no_pair(tmp_path: Path) -> None:
    cold, warm = promoting.make_block(tmp_path / "runs", (100_000, 100_000))
    place = {"document": "metrics", "path": "/counts/ADMIT"}
    pair = {
        "measure": place,
        "hits": {"hits": place, "lookups": place},
        "rows": place,
        "members": {"document": "metrics", "path": "/counts"},
        "p95": {**place, "cold_below": 10**9, "warm_below": 10**9},
    }
    score = closing.score_bytes(measures=None, vetoes=None, pair=pair)

    in_order = _compare(tmp_path, cold, warm, score=score, name="one")
    reversed_order = _compare(tmp_path, warm, cold, score=score, name="two")

    assert closing.find_check(in_order, "cold_before_warm").status == "PASS"
    check = closing.find_check(reversed_order, "cold_before_warm")
    assert (check.status, "nobody had put there" in check.why) == ("INVALID", True)
    assert not reversed_order.unlocked


def test_an_unsound_run_is_listed_beside_a_sound_one(tmp_path: Path) -> None:
    runs = [closing.write_run(tmp_path / "runs", number) for number in (1, 2, 3)]
    (runs[1] / "m10_f_facts.json").unlink()

    closure = _compare(tmp_path, *runs, score=closing.score_bytes(**RUNS))

    assert closure.best == runs[2].name
    assert [(each.run_root, each.state) for each in closure.unsound] == [(runs[1].name, "corrupt")]
    assert _verify(tmp_path).exit_code == 0


def test_where_no_candidate_is_sound_each_failure_is_told(tmp_path: Path) -> None:
    base = closing.write_report(tmp_path, "base", closing.GOOD)

    with pytest.raises(errors.EvidenceIncomplete, match=r"there is no .*one\.json.*; there is no .*two\.json"):
        _compare(tmp_path, base, tmp_path / "one.json", tmp_path / "two.json")

    assert not (tmp_path / "closures").exists()


def test_candidates_that_would_be_cited_alike_are_refused(tmp_path: Path) -> None:
    base = closing.write_report(tmp_path, "base", closing.GOOD)
    first, second = (
        closing.write_report(tmp_path / parent, "run", closing.vary(runtime={"s4": seconds}))
        for parent, seconds in (("a", 54.0), ("b", 55.0))
    )

    with pytest.raises(errors.UsageError, match=r"two candidates would be cited as run/report\.json"):
        _compare(tmp_path, base, first, second)


def test_nothing_there_is_incomplete(tmp_path: Path) -> None:
    with pytest.raises(errors.EvidenceIncomplete, match="there is no"):
        _compare(tmp_path, tmp_path / "none.json", tmp_path / "no.json")


def test_one_candidate_twice_is_refused(tmp_path: Path) -> None:
    base = closing.write_report(tmp_path, "base", closing.GOOD)
    fast, copy = closing.write_report(tmp_path, "fast", FAST), closing.write_report(tmp_path, "copy", FAST)

    with pytest.raises(errors.UsageError, match="named twice"):
        _compare(tmp_path, base, fast, copy)


def test_a_closure_is_never_overwritten(tmp_path: Path) -> None:
    base = closing.write_report(tmp_path, "base", closing.GOOD)
    fast, slow = (
        closing.write_report(tmp_path, "fast", FAST),
        closing.write_report(tmp_path, "slow", closing.vary(warnings=2)),
    )
    _compare(tmp_path, base, fast)
    before = (tmp_path / "closures" / "popt3_closure.json").read_bytes()

    _compare(tmp_path, base, fast)
    with pytest.raises(errors.Conflict, match="nothing was overwritten"):
        _compare(tmp_path, base, slow)

    assert (tmp_path / "closures" / "popt3_closure.json").read_bytes() == before


def _change_closure(folder: Path, **changes: Any) -> None:
    path = folder / "closures" / "popt3_closure.json"
    path.write_bytes(canonical.encode({**json.loads(path.read_bytes()), **changes}))


def _held_files(folder: Path) -> dict[str, Path]:
    """A HOLD of two files, whose changed copies are tried."""
    held = closing.vary(runtime={"s4": 400.0})
    named = {"base": closing.GOOD, "slow": held}
    made = {name: closing.write_report(folder, name, value) for name, value in named.items()}
    assert not _compare(folder, made["base"], made["slow"]).unlocked
    return made


def test_a_closure_that_says_otherwise_is_refuted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _held_files(Path())
    value = json.loads((tmp_path / "closures" / "popt3_closure.json").read_bytes())
    unlocked = {**value["decision"], "unlocked": True, "result": "UNLOCK_POPT4"}
    _change_closure(tmp_path, decision=unlocked, best=value["candidate"]["run_id"])

    verified = _verify(Path())

    assert (verified.state, verified.exit_code) == (evidence.EvidenceState.REFUTED, 8)
    assert "decision" in verified.why


def test_what_a_closure_cites_has_to_be_there_and_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = _held_files(Path())
    content = made["slow"].read_bytes()
    assert _verify(Path()).exit_code == 3

    made["slow"].write_text(json.dumps(FAST))
    changed = _verify(Path())
    made["slow"].unlink()
    gone = _verify(Path())
    made["slow"].write_bytes(content)
    score = next((tmp_path / "closures").glob("popt3_score_*.yaml"))
    score.write_bytes(score.read_bytes().replace(b"20%", b"10%"))

    assert changed.exit_code == 8
    assert gone.exit_code == 7
    assert _verify(Path()).exit_code == 8


def test_moved_evidence_is_found_beside_the_closure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (closing.write_run(tmp_path / "runs", number) for number in (1, 2))
    _compare(tmp_path, first, second, score=closing.score_bytes(**RUNS))
    for run in (first, second):
        run.rename(tmp_path / "closures" / run.name)
    monkeypatch.chdir(tmp_path / "closures")

    assert evidence.verify_closure("popt3_closure.json").exit_code == 0


def test_a_closure_is_signed_and_its_signature_speaks_of_it_alone(tmp_path: Path) -> None:
    base, fast = (
        closing.write_report(tmp_path, name, value) for name, value in (("base", closing.GOOD), ("fast", FAST))
    )
    private, public = signing.generate_key_pair()
    (tmp_path / "key.pem").write_bytes(private)
    (tmp_path / "key.pem").chmod(0o600)
    (tmp_path / "key.pem.pub").write_bytes(public)
    signer = signing.open_signer(f"file:{tmp_path / 'key.pem'}", fakes.TickingClock())

    _compare(tmp_path, base, fast, signer=signer)
    _compare(tmp_path, base, fast, signer=fakes_signing.CountingSigner())  # the signature that is there stays
    key = str(tmp_path / "key.pem.pub")
    place = tmp_path / "closures" / "popt3_closure.json"

    sound = evidence.verify_closure(place, [tmp_path], key=key, require_signature=True)
    (tmp_path / "closures" / closures.name_signature("popt3")).unlink()
    unsigned = evidence.verify_closure(place, [tmp_path], key=key, require_signature=True)

    assert sound.signature is not None
    assert (sound.exit_code, sound.signature.state) == (0, "verified")
    assert unsigned.state is evidence.EvidenceState.BAD_SIGNATURE


def test_the_active_baseline_moves_by_an_unlock_alone(tmp_path: Path) -> None:
    chain = tmp_path / "active"
    base = closing.write_report(tmp_path, "base", closing.GOOD)
    slow = closing.write_report(tmp_path, "slow", closing.vary(runtime={"s4": 400.0}))
    fast = closing.write_report(tmp_path, "fast", FAST)

    held = _compare(tmp_path, base, slow, chain=chain, name="one")
    assert active_baselines.list_records(folder_store.FolderStore(chain).names()) == ["active_0000.json"]
    unlocked = _compare(tmp_path, base, fast, chain=chain, name="two")

    records = [json.loads((chain / active_baselines.name_record(number)).read_bytes()) for number in (0, 1)]
    assert not held.unlocked
    assert unlocked.active_baseline is not None
    assert records[1]["run"]["sha256"] == unlocked.candidate.sha256
    assert records[1]["predecessor"] == canonical.digest((chain / "active_0000.json").read_bytes())
    assert records[1]["closure_sha256"] == canonical.digest(unlocked.content())
    with pytest.raises(errors.Refused, match=r"the active baseline is fast/report.json \(record 1\)"):
        _compare(tmp_path, base, fast, chain=chain, name="three")


def test_active_names_the_baseline_of_the_chain(tmp_path: Path) -> None:
    chain = tmp_path / "active"
    base, fast = (
        closing.write_report(tmp_path, name, value) for name, value in (("base", closing.GOOD), ("fast", FAST))
    )
    faster = closing.write_report(tmp_path, "faster", closing.vary(runtime={"s4": 32.0}))
    _compare(tmp_path, base, fast, chain=chain, name="one")
    (tmp_path / "runs").mkdir()
    (tmp_path / "fast").rename(tmp_path / "runs" / "fast")

    closure = _compare(tmp_path, comparing.ACTIVE, faster, chain=chain, name="two")

    assert closure.baseline.sha256 == canonical.digest((tmp_path / "runs" / "fast" / "report.json").read_bytes())
    assert closure.active_baseline is not None
    assert closure.active_baseline.number == 1


def test_a_weaker_score_unlocks_nothing_in_the_chain(tmp_path: Path) -> None:
    chain = tmp_path / "active"
    base = closing.write_report(tmp_path, "base", closing.GOOD)
    wrong = closing.write_report(tmp_path, "wrong", closing.vary(runtime={"s4": 54.0}, counts={"rows": 1}))
    _compare(tmp_path, base, wrong, chain=chain, name="one")
    rails = [rail for rail in closing.score_value()["vetoes"] if rail["name"] != "counts_unchanged"]

    alone = _compare(tmp_path, base, wrong, score=closing.score_bytes(vetoes=rails), name="two")
    in_chain = _compare(tmp_path, base, wrong, score=closing.score_bytes(vetoes=rails), chain=chain, name="three")

    assert alone.unlocked
    assert in_chain.decision.result == "HOLD_POPT3_REOPEN"
    assert [failure.split()[0] for failure in in_chain.failures] == ["same_score"]


@pytest.mark.parametrize("spoil", ["predecessor", "closure", "number", "run"])
def test_a_changed_chain_is_refused(tmp_path: Path, spoil: str) -> None:
    chain = tmp_path / "active"
    base, fast = (
        closing.write_report(tmp_path, name, value) for name, value in (("base", closing.GOOD), ("fast", FAST))
    )
    _compare(tmp_path, base, fast, chain=chain, name="one")
    path = chain / "active_0001.json"
    value = json.loads(path.read_bytes())
    if spoil == "closure":
        (chain / active_baselines.name_closure_copy(value["closure_sha256"])).unlink()
    else:
        changes = {"predecessor": "0" * 64, "number": 2, "run": {**value["run"], "sha256": "0" * 64}}
        path.write_bytes(canonical.encode({**value, spoil: changes[spoil]}))

    with pytest.raises(errors.EvidenceCorrupt, match=r"active_0001\.json"):
        _compare(tmp_path, fast, base, chain=chain, name="two")


def _move_twice(folder: Path) -> dict[str, Path]:
    """A chain of three records, and the reports that it went through."""
    runs = {
        name: closing.write_report(folder, name, closing.vary(runtime={"s4": seconds}))
        for name, seconds in (("base", 456.687), ("fast", 54.875), ("faster", 32.0))
    }
    for number, (before, after) in enumerate([("base", "fast"), ("fast", "faster")]):
        assert _compare(folder, runs[before], runs[after], chain=folder / "active", name=str(number)).unlocked
    return runs


def test_a_chain_without_its_last_record_moves_nothing_but_by_the_same_closure(tmp_path: Path) -> None:
    runs = _move_twice(tmp_path)
    (tmp_path / "active" / "active_0002.json").unlink()
    other = closing.write_report(tmp_path, "other", closing.vary(runtime={"s4": 40.0}))

    with pytest.raises(errors.Refused, match=r"closure_.*unlocked a run, and active_0002\.json is not there; put that"):
        _compare(tmp_path, runs["fast"], other, chain=tmp_path / "active", name="other")
    _compare(tmp_path, runs["fast"], runs["faster"], chain=tmp_path / "active", name="again")

    assert (tmp_path / "active" / "active_0002.json").is_file()


def test_a_chain_without_its_last_two_records_is_refused(tmp_path: Path) -> None:
    runs = _move_twice(tmp_path)
    for number in (1, 2):
        (tmp_path / "active" / active_baselines.name_record(number)).unlink()

    with pytest.raises(errors.EvidenceCorrupt, match=r"scored against record 1, which is not in the chain"):
        _compare(tmp_path, runs["base"], runs["faster"], chain=tmp_path / "active", name="other")


def test_records_in_another_order_are_refused(tmp_path: Path) -> None:
    runs = _move_twice(tmp_path)
    first, second = (tmp_path / "active" / active_baselines.name_record(number) for number in (1, 2))
    swapped = first.read_bytes(), second.read_bytes()
    first.write_bytes(swapped[1])
    second.write_bytes(swapped[0])

    with pytest.raises(errors.EvidenceCorrupt, match=r"active_0001\.json says number 2"):
        _compare(tmp_path, runs["faster"], runs["base"], chain=tmp_path / "active", name="other")


def test_a_chain_by_a_closure_that_contradicts_its_checks_is_refused(tmp_path: Path) -> None:
    chain = tmp_path / "active"
    base = closing.write_report(tmp_path, "base", closing.GOOD)
    slow = closing.write_report(tmp_path, "slow", closing.vary(runtime={"s4": 400.0}))
    held = _compare(tmp_path, base, slow, chain=chain, name="one")
    decision = held.decision.model_copy(update={"unlocked": True, "result": "UNLOCK_POPT4"})
    forged = held.model_copy(update={"decision": decision, "best": held.candidate.run_id})
    store = folder_store.FolderStore(chain)
    begun = active_baselines.check_chain([store.read("active_0000.json")], {})
    assert begun is not None
    record = active_baselines.follow(begun, forged, cases.STARTED)
    store.put_once(active_baselines.name_closure_copy(str(record.closure_sha256)), forged.content())
    store.put_once("active_0001.json", record.content())

    with pytest.raises(errors.EvidenceCorrupt, match=r"it unlocks, and these checks do not pass: s4"):
        _compare(tmp_path, slow, base, chain=chain, name="two")


def test_two_comparisons_move_the_baseline_once(tmp_path: Path) -> None:
    chain = tmp_path / "active"
    base, fast = (
        closing.write_report(tmp_path, name, value) for name, value in (("base", closing.GOOD), ("fast", FAST))
    )
    other = closing.write_report(tmp_path, "other", closing.vary(runtime={"s4": 60.0}))
    requests = [
        comparing.Request(
            baseline=str(base), candidates=[str(one)], score=closing.score_bytes(), score_source="s", chain=str(chain)
        )
        for one in (fast, other)
    ]
    both = [comparing.compare(request, places.Opener(), now=cases.STARTED) for request in requests]

    comparing.move_baseline(both[0], now=cases.STARTED)
    with pytest.raises(errors.Conflict):
        comparing.move_baseline(both[1], now=cases.STARTED)


def test_s3_places_are_compared_and_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with publishing.aws_in_this_process("eu-west-2", monkeypatch):
        opener = places.Opener()
        s3 = opener._client()
        s3.create_bucket(Bucket="evidence", CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})
        placed = []
        for number in (1, 2):
            execution_id = evidencing.run_id(number)
            given = evidencing.case(execution_id)
            placed.append(evidencing.on_s3(s3, f"s3://evidence/runs/{execution_id}", evidencing.published(given)))
        request = comparing.Request(
            baseline=placed[0],
            candidates=[f"{placed[1]}/{evidencing.SNAPSHOT}"],
            score=closing.score_bytes(**RUNS),
            score_source="score.yaml",
        )
        comparison = comparing.compare(request, opener, now=cases.STARTED)
        comparing.write(comparison, s3_store.S3Store("s3://evidence/closures", client=s3), None)

        verified = evidence.verify_closure("s3://evidence/closures/popt3_closure.json", client=s3)

    assert verified.exit_code == 0, verified.why
    assert verified.closure is not None
    assert verified.closure.baseline.source == placed[0]
