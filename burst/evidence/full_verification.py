"""Verifying beyond one folder: the other places of a run must hold the same bytes, and its priors must hold too.

The documents name the other places, and adjudication has shown that the plan names the same. They are asked where the
evidence lies in one of them; a copy elsewhere (a folder, a bundle) is verified alone, without a network, unless the
caller asks for `everywhere`. A place that cannot be reached is listed; where it is the authority, whose snapshot is the
commit, the result is unknown.

A verdict that carries blockers from a prior is worth no more than the prior: where its evidence is not to be had,
anybody could have written it, so the result is unknown too. Priors are believed only where the caller asks for that.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from burst.domain.basics import canonical, errors
from burst.domain.documents import document_names
from burst.domain.run import run_ids
from burst.evidence import places, signatures, soundness, verification
from burst.report import html

if TYPE_CHECKING:
    from burst import ports
    from burst.domain.verdict import snapshots

MOST_PRIORS = 100
State = soundness.EvidenceState


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """Another place of the run: `same`, or `unreachable` and why."""

    place: str
    state: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A prior attempt: `ok` where its evidence holds, `not-here` or `unreachable` where the walk ended, and
    `not-looked-at` where the caller believes priors."""

    execution_id: str
    sha256: str
    state: str
    why: str = ""
    store: ports.EvidenceStore | None = field(default=None, repr=False, compare=False)
    """Where its evidence stands; None unless it is `ok`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The result of verification at a place, in the other places and along the chain of priors."""

    place: str
    finding: soundness.Verification
    copies: tuple[Copy, ...] = ()
    chain: tuple[Link, ...] = ()
    signature: signatures.Signed | None = None
    """None where something before it did not hold."""

    @property
    def snapshot(self) -> snapshots.Snapshot:
        """The snapshot of a run, typed. Raises the error of evidence that is not sound."""
        return self.finding.require_verdict().snapshot

    @property
    def exit_code(self) -> int:
        """0 sound PASS, 3 sound HOLD, 7 absent or incomplete, 8 integrity failed, 9 cannot tell."""
        return self.finding.exit_code


def verify(
    run: places.RunPlace,
    opener: places.Opener,
    *,
    everywhere: bool | None = None,
    priors: bool = True,
    trust: signatures.Trust | None = None,
    checks: Sequence[soundness.FurtherCheck] = (),
) -> Verified:
    """Whether the evidence of a run holds. Never raises for the state of the evidence.

    `everywhere` True asks the other places and S3 priors in any case, False never, None where `run` is one of them.
    Without `priors` none is looked at; with them, one whose evidence is not to be had makes the answer unknown.
    Raises `errors.UsageError` for a bad key in `trust`.
    """
    beyond = _BeyondOneFolder(run, opener, everywhere=everywhere, trust=trust or signatures.Trust())
    walk = beyond.walk_priors if priors else beyond.name_prior
    reference = [beyond.check_reference] if priors else []
    further = [beyond.refuse_misplaced, beyond.check_signature, *checks, beyond.compare_places, walk, *reference]
    finding = verification.verify(run.store, render=html.render, checks=further)
    if finding.verdict is None:
        from burst.evidence import rollup_verification

        rollup = rollup_verification.find_name(run.store)
        if rollup is not None:
            beyond_lanes = rollup_verification.Beyond(lanes=priors, everywhere=everywhere, open_store=opener.store)
            finding = rollup_verification.verify(
                run,
                rollup,
                lambda lane: verify(lane, opener, everywhere=everywhere, priors=priors).finding,
                beyond=beyond_lanes,
            )
            return Verified(place=run.place, finding=finding)
    return Verified(
        place=run.place,
        finding=finding,
        copies=tuple(beyond.copies),
        chain=tuple(beyond.chain),
        signature=beyond.signature,
    )


class _BeyondOneFolder:
    """The further checks of one run, and the places, priors and signature they came to."""

    def __init__(
        self, run: places.RunPlace, opener: places.Opener, *, everywhere: bool | None, trust: signatures.Trust
    ) -> None:
        self._run = run
        self._opener = opener
        self._everywhere = everywhere
        self._trust = trust
        self.copies: list[Copy] = []
        self.chain: list[Link] = []
        self.signature: signatures.Signed | None = None

    def refuse_misplaced(self, held: soundness.HeldEvidence) -> None:
        """A folder named as burst names one run's holds no other's: a copied PASS is nobody's newest attempt."""
        folder = self._run.place.rstrip("/").rpartition("/")[2]
        execution_id = held.snapshot.execution_id
        if run_ids.parse(folder) is not None and execution_id not in (None, folder):
            raise soundness.NotSoundError(State.CORRUPT, f"evidence of run {execution_id}, in the place of another")

    def check_signature(self, held: soundness.HeldEvidence) -> None:
        """The signature speaks of this evidence, and is by the key that the caller trusts."""
        self.signature = self._trust.check(held, self._run.store)

    def compare_places(self, held: soundness.HeldEvidence) -> None:
        """The other places of the run hold the same bytes."""
        published = _list_places(held)
        asked_for = self._run.place in published if self._everywhere is None else self._everywhere
        if not asked_for:
            return
        beside = _read_beside(self._run, held)
        for place in published:
            if place != self._run.place:
                must_answer = self._everywhere is True or place == published[0]
                self.copies.append(_compare_place(place, held, beside, self._opener, must_answer=must_answer))

    def name_prior(self, held: soundness.HeldEvidence) -> None:
        """The prior is named, and believed without a look at its evidence."""
        content = held.documents.get(document_names.PRIOR)
        if content is not None:
            execution_id, sha256 = _execution_id(content), canonical.digest(content)
            self.chain.append(Link(execution_id=execution_id, sha256=sha256, state="not-looked-at"))

    def check_reference(self, held: soundness.HeldEvidence) -> None:
        """The evidence of the run that this one reproduces holds: anybody could have written a snapshot alone."""
        content = held.documents.get(document_names.REFERENCE)
        if content is None:
            return
        abroad = self._run.place.startswith(places.S3) if self._everywhere is None else self._everywhere
        execution_id, sha256 = _execution_id(content), canonical.digest(content)
        try:
            store = _find_reference(self._run, held, self._opener, abroad=abroad)
        except errors.BurstError as exc:
            raise soundness.NotSoundError(State.UNKNOWN, f"reference {execution_id} is unreachable: {exc}") from exc
        if store is None:
            why = "its evidence is not beside this run's; nothing can be compared with it on trust"
            raise soundness.NotSoundError(State.UNKNOWN, f"reference {execution_id} is not-here: {why}")
        finding = verification.verify(store)
        if finding.verdict is None:
            state = State.UNKNOWN if finding.state is State.UNKNOWN else State.CHAIN_BROKEN
            raise soundness.NotSoundError(state, f"reference {execution_id}: {finding.state}: {finding.why}")
        self.chain.append(Link(execution_id=execution_id, sha256=sha256, state="ok", why=finding.why, store=store))

    def walk_priors(self, held: soundness.HeldEvidence) -> None:
        """The evidence of every prior back to the first attempt holds."""
        abroad = self._run.place.startswith(places.S3) if self._everywhere is None else self._everywhere
        for link in _walk_chain(self._run, held, self._opener, abroad=abroad):
            self.chain.append(link)
            if link.state != "ok":
                raise soundness.NotSoundError(
                    State.UNKNOWN,
                    f"prior {link.execution_id} is {link.state}: {link.why}; its blockers cannot be carried on trust",
                )


def _find_reference(
    run: places.RunPlace, held: soundness.HeldEvidence, opener: places.Opener, *, abroad: bool
) -> ports.EvidenceStore | None:
    """The store of the run that this one reproduces: beside it, as the plan cites it, else (`abroad`) under run
    control. None where its snapshot, by digest, is in none of them."""
    content, section = held.documents[document_names.REFERENCE], held.plan.reproduces
    execution_id, sha256 = _execution_id(content), canonical.digest(content)
    stores = [] if execution_id == "unknown" else [run.beside.store(execution_id)]
    cited = section.snapshot if section is not None and section.phase is None else None
    if cited is not None and not cited.startswith(places.S3) and os.path.exists(cited):
        stores.append(opener.run(cited if os.path.isdir(cited) else os.path.dirname(cited) or ".").store)
    if abroad:
        published = _list_places(held)
        folders = [f"{published[0].rpartition('/')[0]}/{execution_id}"] if published else []
        folders += [cited] if cited is not None and cited.startswith(places.S3) else []
        stores += [opener.store(folder) for folder in folders]
    return next((store for store in stores if _has_snapshot(store, sha256)), None)


def _has_snapshot(store: ports.EvidenceStore, sha256: str) -> bool:
    """Whether a store has the snapshot with a digest."""
    try:
        names = [name for name in store.names() if document_names.is_snapshot_name(name)]
    except errors.EvidenceIncomplete:
        return False
    return any(canonical.digest(store.read(name)) == sha256 for name in names)


def _list_places(held: soundness.HeldEvidence) -> list[str]:
    """The places the documents were published to, the authority first."""
    folders = [key.rpartition("/")[0] for ref in held.snapshot.evidence_refs for key in ref.keys]
    return list(dict.fromkeys(folders))


def _read_beside(run: places.RunPlace, held: soundness.HeldEvidence) -> dict[str, bytes]:
    """The documents that the snapshot cannot name: its report and its signature."""
    names = {document_names.REPORT, document_names.signature_name(held.plan.slug, held.plan.kind)}
    try:
        return {name: run.store.read(name) for name in sorted(names.intersection(held.names))}
    except errors.BurstError as exc:
        raise soundness.NotSoundError(State.UNKNOWN, str(exc)) from exc


def _compare_place(
    place: str,
    held: soundness.HeldEvidence,
    beside: Mapping[str, bytes],
    opener: places.Opener,
    *,
    must_answer: bool,
) -> Copy:
    """A copy whose bytes are the same. `must_answer`: where it cannot be reached, the result is unknown."""
    try:
        store = opener.store(place)
        for name, content in {held.name: held.content, **held.documents, **beside}.items():
            theirs = store.read(name)
            if (theirs[: len(content)] if name == document_names.JOURNAL else theirs) != content:
                raise soundness.NotSoundError(State.DIVERGED, f"{name} has other bytes in {place}")
    except errors.EvidenceIncomplete as exc:
        committed = name != held.name
        state = State.MISSING_DOCUMENT if committed else State.INCOMPLETE
        why = "" if committed else "; the publication was not committed there, `burst resume` can finish it"
        raise soundness.NotSoundError(state, f"{exc}{why}") from exc
    except errors.EvidenceCorrupt as exc:
        raise soundness.NotSoundError(State.DIVERGED, str(exc)) from exc
    except errors.BurstError as exc:
        if must_answer:
            raise soundness.NotSoundError(State.UNKNOWN, str(exc)) from exc
        return Copy(place=place, state="unreachable", why=str(exc))
    return Copy(place=place, state="same")


def _walk_chain(
    run: places.RunPlace, held: soundness.HeldEvidence, opener: places.Opener, *, abroad: bool
) -> Iterator[Link]:
    """The priors, one after the other, until the first attempt or to where they cannot be had."""
    reached: list[soundness.HeldEvidence] = [held]
    for _ in range(MOST_PRIORS):
        content = reached[-1].documents.get(document_names.PRIOR)
        if content is None:
            return
        execution_id, sha256 = _execution_id(content), canonical.digest(content)
        try:
            store = _find_prior(run, reached[-1], execution_id, opener, abroad=abroad)
            snapshot = store.read(held.name) if store else None
        except errors.BurstError as exc:
            yield Link(execution_id=execution_id, sha256=sha256, state="unreachable", why=str(exc))
            return
        if store is None or snapshot is None:
            yield Link(execution_id=execution_id, sha256=sha256, state="not-here", why="its evidence is not beside it")
            return
        if canonical.digest(snapshot) != sha256:
            raise soundness.NotSoundError(
                State.CHAIN_BROKEN, f"prior {execution_id}: its snapshot is not the one cited by digest {sha256[:12]}"
            )
        finding = verification.verify(store, checks=[reached.append])
        if finding.state is State.UNKNOWN:
            yield Link(execution_id=execution_id, sha256=sha256, state="unreachable", why=finding.why)
            return
        if finding.verdict is None:
            raise soundness.NotSoundError(State.CHAIN_BROKEN, f"prior {execution_id}: {finding.state}: {finding.why}")
        yield Link(execution_id=execution_id, sha256=sha256, state="ok", why=finding.why, store=store)
    raise soundness.NotSoundError(State.CHAIN_BROKEN, f"more than {MOST_PRIORS} priors")


def _execution_id(prior: bytes) -> str:
    try:
        value = canonical.decode(prior)
    except errors.EvidenceCorrupt:
        return "unknown"
    execution_id = value.get("execution_id") if isinstance(value, dict) else None
    return execution_id if isinstance(execution_id, str) and run_ids.is_plain(execution_id) else "unknown"


def _find_prior(
    run: places.RunPlace,
    held: soundness.HeldEvidence,
    execution_id: str,
    opener: places.Opener,
    *,
    abroad: bool,
) -> ports.EvidenceStore | None:
    """The store that has the prior's snapshot: beside the run, else (`abroad`) under run control, else as the plan
    cites it. None where it is in none of them."""
    if execution_id == "unknown":
        return None
    candidates = [run.beside.store(execution_id)]
    if abroad:
        published = _list_places(held)
        folders = [published[0].rpartition("/")[0] + f"/{execution_id}"] if published else []
        cited = held.plan.rerun.prior if held.plan.rerun else None
        if cited and cited.startswith(places.S3):
            folders.append(cited.removesuffix(f"/{held.name}"))
        candidates += [opener.store(folder) for folder in dict.fromkeys(folders)]
    return next((store for store in candidates if _has(store, held.name)), None)


def _has(store: ports.EvidenceStore, name: str) -> bool:
    try:
        return name in store.names()
    except errors.EvidenceIncomplete:
        return False
