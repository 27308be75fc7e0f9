"""Verifying beyond one folder: the other places of a run must hold the same bytes, and its priors must hold too.

The documents say where the other places are, and adjudication has shown that those words are the plan's. They are
asked where the evidence lies in one of them; a copy elsewhere (a folder, a bundle) is verified alone, without a
network, unless the caller asks for `everywhere`. What cannot be reached is said, and where it is the authority, whose
snapshot is the commit, the answer is that nobody can tell.

A verdict that carries blockers from a prior is worth what the prior is: where the evidence of one is not to be had,
anybody could have written it, so nobody can tell either. Only a caller who says so takes priors on their word.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from burst import ports
from burst.domain.basics import canonical, errors
from burst.domain.documents import document_names
from burst.domain.run import run_ids
from burst.evidence import places, signatures, verification
from burst.report import html

MOST_PRIORS = 100
State = verification.EvidenceState
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """Another place of the run: `same`, or `unreachable` and why."""

    place: str
    state: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A prior attempt: `ok` where its evidence holds, `not-here` or `unreachable` where the walk ended, and
    `not-looked-at` where the caller takes priors on their word."""

    execution_id: str
    sha256: str
    state: str
    why: str = ""
    store: ports.EvidenceStore | None = field(default=None, repr=False, compare=False)
    """Where its evidence stands; None unless it is `ok`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What verification found at a place, in the other places and along the chain of priors."""

    place: str
    finding: verification.Verification
    copies: tuple[Copy, ...] = ()
    chain: tuple[Link, ...] = ()
    signature: signatures.Signed | None = None
    """None where the evidence did not hold so far that it was looked at."""

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
    checks: Sequence[verification.FurtherCheck] = (),
) -> Verified:
    """Whether the evidence of a run holds. Never raises for what it finds there.

    `everywhere` True asks the other places and S3 priors in any case, False never, None where `run` is one of them.
    Without `priors` none is looked at; with them, one whose evidence is not to be had makes the answer unknown.
    Raises `errors.UsageError` where the key of `trust` is none.
    """
    copies: list[Copy] = []
    chain: list[Link] = []
    signed: list[signatures.Signed] = []

    def named(found: verification.HeldEvidence) -> None:
        _refuse_misplaced(run.place, found.snapshot.execution_id)

    def sign(found: verification.HeldEvidence) -> None:
        signed.append((trust or signatures.Trust()).look(found, run.store))

    def compare(found: verification.HeldEvidence) -> None:
        wanted = _asked(run, found, everywhere)
        for one in wanted:
            must = everywhere is True or one == _places(found)[0]
            copies.append(_compared(one, found, _beside(run, found), opener, must=must))

    def walk(found: verification.HeldEvidence) -> None:
        if not priors:
            chain.extend(_not_looked_at(found))
            return
        abroad = run.place.startswith(places.S3) if everywhere is None else everywhere
        for link in _walked(run, found, opener, abroad=abroad):
            chain.append(link)
            if link.state != "ok":
                raise verification.NotSoundError(
                    State.UNKNOWN,
                    f"prior {link.execution_id} is {link.state}: {link.why}; what is carried from it cannot be told",
                )

    finding = verification.verify(run.store, render=html.render, checks=[named, sign, *checks, compare, walk])
    return Verified(
        place=run.place,
        finding=finding,
        copies=tuple(copies),
        chain=tuple(chain),
        signature=signed[0] if signed else None,
    )


def _refuse_misplaced(place: str, execution_id: str | None) -> None:
    """A folder named as burst names one run's holds no other's: a copied PASS is nobody's newest attempt."""
    folder = place.rstrip("/").rpartition("/")[2]
    if run_ids.parse(folder) is not None and execution_id not in (None, folder):
        raise verification.NotSoundError(State.CORRUPT, f"evidence of run {execution_id}, in the place of another")


def _places(found: verification.HeldEvidence) -> list[str]:
    """The places the documents were published to, the authority first."""
    keys = [key.rpartition("/")[0] for ref in found.snapshot.evidence_refs for key in ref.keys]
    return list(dict.fromkeys(keys))


def _asked(run: places.RunPlace, found: verification.HeldEvidence, everywhere: bool | None) -> list[str]:
    published = _places(found)
    asked = run.place in published if everywhere is None else everywhere
    return [one for one in published if one != run.place] if asked else []


def _beside(run: places.RunPlace, found: verification.HeldEvidence) -> dict[str, bytes]:
    """The documents that the snapshot cannot name: its report and its signature."""
    names = {document_names.REPORT, document_names.signature_name(found.plan.slug)}
    try:
        return {name: run.store.read(name) for name in sorted(names.intersection(found.names))}
    except errors.BurstError as exc:
        raise verification.NotSoundError(State.UNKNOWN, str(exc)) from exc


def _compared(
    place: str, found: verification.HeldEvidence, beside: Mapping[str, bytes], opener: places.Opener, *, must: bool
) -> Copy:
    """A copy whose bytes are the same. `must`: not reaching it is not knowing."""
    try:
        store = opener.store(place)
        for name, content in {found.name: found.content, **found.documents, **beside}.items():
            theirs = store.read(name)
            if (theirs[: len(content)] if name == document_names.JOURNAL else theirs) != content:
                raise verification.NotSoundError(State.DIVERGED, f"{name} has other bytes in {place}")
    except errors.EvidenceIncomplete as exc:
        committed = name != found.name
        state = State.MISSING_DOCUMENT if committed else State.INCOMPLETE
        why = "" if committed else "; the publication was not committed there, `burst resume` can finish it"
        raise verification.NotSoundError(state, f"{exc}{why}") from exc
    except errors.EvidenceCorrupt as exc:
        raise verification.NotSoundError(State.DIVERGED, str(exc)) from exc
    except errors.BurstError as exc:
        if must:
            raise verification.NotSoundError(State.UNKNOWN, str(exc)) from exc
        return Copy(place=place, state="unreachable", why=str(exc))
    return Copy(place=place, state="same")


def _not_looked_at(found: verification.HeldEvidence) -> Iterator[Link]:
    content = found.documents.get(document_names.PRIOR)
    if content is not None:
        yield Link(execution_id=_execution_id(content), sha256=canonical.digest(content), state="not-looked-at")


def _walked(
    run: places.RunPlace, found: verification.HeldEvidence, opener: places.Opener, *, abroad: bool
) -> Iterator[Link]:
    """The priors, one after the other, until the first attempt or to where they cannot be had."""
    reached: list[verification.HeldEvidence] = [found]
    for _ in range(MOST_PRIORS):
        content = reached[-1].documents.get(document_names.PRIOR)
        if content is None:
            return
        execution_id = _execution_id(content)
        sha256 = canonical.digest(content)
        try:
            store = _standing(run, reached[-1], execution_id, opener, abroad=abroad)
            standing = store.read(found.name) if store else None
        except errors.BurstError as exc:
            yield Link(execution_id=execution_id, sha256=sha256, state="unreachable", why=str(exc))
            return
        if store is None or standing is None:
            yield Link(execution_id=execution_id, sha256=sha256, state="not-here", why="its evidence is not beside it")
            return
        if canonical.digest(standing) != sha256:
            raise verification.NotSoundError(
                State.CHAIN_BROKEN, f"prior {execution_id}: its snapshot is not the one cited by digest {sha256[:12]}"
            )
        finding = verification.verify(store, checks=[reached.append])
        if finding.state is State.UNKNOWN:
            yield Link(execution_id=execution_id, sha256=sha256, state="unreachable", why=finding.why)
            return
        if finding.snapshot is None:
            raise verification.NotSoundError(
                State.CHAIN_BROKEN, f"prior {execution_id}: {finding.state}: {finding.why}"
            )
        yield Link(execution_id=execution_id, sha256=sha256, state="ok", why=finding.why, store=store)
    raise verification.NotSoundError(State.CHAIN_BROKEN, f"more than {MOST_PRIORS} priors")


def _execution_id(prior: bytes) -> str:
    try:
        value = canonical.decode(prior)
    except errors.EvidenceCorrupt:
        return "unknown"
    named = value.get("execution_id") if isinstance(value, dict) else None
    return named if isinstance(named, str) and run_ids.is_plain(named) else "unknown"


def _standing(
    run: places.RunPlace, found: verification.HeldEvidence, execution_id: str, opener: places.Opener, *, abroad: bool
) -> ports.EvidenceStore | None:
    """The store that has the prior's snapshot: beside the run, else (`abroad`) under run control, else as the plan
    cites it. None where it is in none of them."""
    if execution_id == "unknown":
        return None
    candidates = [run.beside.store(execution_id)]
    if abroad:
        published = _places(found)
        controls = [published[0].rpartition("/")[0] + f"/{execution_id}"] if published else []
        cited = found.plan.rerun.prior if found.plan.rerun else None
        if cited and cited.startswith(places.S3):
            controls.append(cited.removesuffix(f"/{found.name}"))
        candidates += [opener.store(one) for one in dict.fromkeys(controls)]
    return next((store for store in candidates if _has(store, found.name)), None)


def _has(store: ports.EvidenceStore, name: str) -> bool:
    try:
        return name in store.names()
    except errors.EvidenceIncomplete:
        return False
