"""Verifying closures: the cited evidence is verified, scored again by the score file, and the bytes compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from burst.adapters import signing
from burst.domain.basics import canonical, errors
from burst.domain.closure import closure_statements, closures, score_files
from burst.evidence import compared_places, places, signatures, soundness

if TYPE_CHECKING:
    from burst import ports
    from burst.domain.closure import unsound_candidates

State = soundness.EvidenceState


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedClosure:
    """The state of a closure and why. `closure` is there only where it holds."""

    place: str
    state: soundness.EvidenceState
    why: str
    closure: closures.Closure | None = None
    signature: signatures.Signed | None = None

    @property
    def exit_code(self) -> int:
        """0 a sound UNLOCK, 3 a sound HOLD, 7 absent or incomplete, 8 integrity failed, 9 cannot tell."""
        if self.closure is not None:
            return self.closure.exit_code
        return soundness.Verification(state=self.state, why=self.why).exit_code


def verify(place: str, opener: places.Opener, *, search: Sequence[str], trust: signatures.Trust) -> VerifiedClosure:
    """Whether a closure holds. Never raises for its state; raises `errors.UsageError` for a bad key or place."""
    try:
        return _verify(place, opener, search, trust)
    except soundness.NotSoundError as exc:
        return VerifiedClosure(place=place, state=exc.finding.state, why=exc.finding.why)
    except errors.EvidenceIncomplete as exc:
        return VerifiedClosure(place=place, state=State.INCOMPLETE, why=str(exc))
    except errors.EvidenceCorrupt as exc:
        return VerifiedClosure(place=place, state=State.CORRUPT, why=str(exc))
    except (errors.EvidenceUnknown, errors.Unavailable, errors.Refused) as exc:
        return VerifiedClosure(place=place, state=State.UNKNOWN, why=str(exc))


def _verify(place: str, opener: places.Opener, search: Sequence[str], trust: signatures.Trust) -> VerifiedClosure:
    folder, _, name = place.rpartition("/")
    store = _open_folder(folder, opener)
    content = store.read(name)
    published = closures.read(content)
    if closures.name_closure(published.name) != name:
        raise errors.EvidenceCorrupt(f"{name} holds the closure {published.name}")
    _refuse_other_form(content)
    scoring = _gather(published, store, opener, folder, search)
    _compare(closures.score(scoring), published, content)
    for entry in published.unsound:
        _refuse_sound(entry, opener, [folder or ".", *search])
    signature = _check_signature(published, content, store, trust)
    return VerifiedClosure(
        place=place, state=State.OK, why=_describe(published), closure=published, signature=signature
    )


def _open_folder(folder: str, opener: places.Opener) -> ports.EvidenceStore:
    if folder.startswith(places.S3):
        return opener.store(folder)
    from burst.adapters.local import folder_store

    return folder_store.FolderStore(Path(folder or "."))


def _refuse_other_form(content: bytes) -> None:
    if canonical.encode(canonical.decode(content)) != content:
        raise soundness.NotSoundError(State.NOT_CANONICAL, "its bytes are not the canonical form of what they say")


def _gather(
    published: closures.Closure, store: ports.EvidenceStore, opener: places.Opener, folder: str, search: Sequence[str]
) -> closures.Scoring:
    """Everything that the closure cites, each by its digest."""
    active = published.active_baseline
    base, beside = published.baseline, [folder or ".", *search]
    return closures.Scoring(
        file=_read_score(published.score, store),
        sha256=published.score.sha256,
        baseline=compared_places.open_cited(base.source, base.sha256, opener, search=beside),
        candidates=tuple(
            compared_places.open_cited(entry.candidate.run_root, entry.candidate.sha256, opener, search=beside)
            for entry in published.candidates
        ),
        unsound=tuple(published.unsound),
        active=active,
        active_score=_read_score(active.score, store) if active else None,
    )


def _refuse_sound(entry: unsound_candidates.UnsoundCandidate, opener: places.Opener, search: Sequence[str]) -> None:
    """Raises where the evidence of a candidate that was not scored holds here: it might be the best one."""
    for place in compared_places.find_places(entry.run_root, search):
        try:
            compared_places.open_place(place, opener)
        except errors.BurstError:
            continue
        raise soundness.NotSoundError(
            State.UNKNOWN,
            f"candidate {entry.run_root} was not scored, because its evidence was {entry.state}; that at {place} "
            "holds, so another candidate might be the best: compare them again",
        )


def _read_score(ref: closures.ScoreRef, store: ports.EvidenceStore) -> score_files.ScoreFile:
    content = store.read(ref.name)
    if canonical.digest(content) != ref.sha256:
        raise errors.EvidenceCorrupt(f"{ref.name} is not the score file that the closure names by digest")
    try:
        return score_files.parse(content.decode("utf-8"), source=ref.name)
    except (UnicodeDecodeError, errors.UsageError) as exc:
        raise errors.EvidenceUnknown(f"{ref.name}: {exc}") from exc


def _compare(reached: closures.Closure, published: closures.Closure, content: bytes) -> None:
    """The bytes where this version made it; else everything but the sentences, in the fields that both know."""
    if published.verifier == closures.VERIFIER:
        same = reached.content() == content
    else:
        again = reached.model_copy(update={"verifier": published.verifier})
        same = again.judged_value() == published.judged_value()
    if not same:
        ours, theirs = reached.document(), published.document()
        differing = sorted(name for name in ours if ours[name] != theirs.get(name)) or ["its bytes"]
        raise soundness.NotSoundError(
            State.REFUTED, f"the evidence gives another closure; it differs in {', '.join(differing)}"
        )


def _check_signature(
    published: closures.Closure, content: bytes, store: ports.EvidenceStore, trust: signatures.Trust
) -> signatures.Signed:
    name = closures.name_signature(published.name)
    if name not in store.names():
        if trust.required:
            raise soundness.NotSoundError(State.BAD_SIGNATURE, f"{name} is not there, and a signature was required")
        return signatures.Signed(state="absent")
    try:
        envelope = closure_statements.check_envelope(store.read(name), published, canonical.digest(content))
        if trust.key is None:
            key_ids = tuple(signature.keyid for signature in envelope.signatures)
            return signatures.Signed(state="not-checked", key_ids=key_ids)
        return signatures.Signed(state="verified", key_ids=(signing.read_public_key(trust.key).check(envelope),))
    except errors.EvidenceCorrupt as exc:
        raise soundness.NotSoundError(State.BAD_SIGNATURE, f"{name}: {exc}") from exc


def _describe(published: closures.Closure) -> str:
    best = f", best {published.best}" if published.best else ""
    return f"{published.decision.result}: {published.decision.reason}{best}"
