"""Signed runs: signed once, before anything is uploaded; what is published is what was frozen, whatever crashes."""

import pytest

from burst.domain.basics import canonical, errors
from burst.domain.documents import document_names
from burst.domain.plan import catalogues
from burst.domain.verdict import attestations, snapshots
from burst.evidence import signatures, soundness, verification
from tests import fakes_evidence, fakes_journal, fakes_signing, simulation

NAME = "m10_f_burst_snapshot.dsse.json"
SNAPSHOT = "m10_f_burst_snapshot.json"


def signed_world(signer: fakes_signing.CountingSigner) -> simulation.World:
    world = simulation.World()
    world.signer = signer.get
    return world


def holds(world: simulation.World, signer: fakes_signing.CountingSigner) -> bool:
    """Whether the place holds a signature over exactly what is there."""
    there = world.place.documents
    envelope = attestations.read(there[NAME])
    signer.public_key.check(envelope)
    verdict = snapshots.Verdict.read(there[SNAPSHOT])
    subjects = attestations.subjects(SNAPSHOT, verdict, there[document_names.REPORT])
    attestations.check(envelope.statement, subjects, verdict.snapshot)
    named = {name: canonical.digest(content) for name, content in there.items() if name != NAME and "/" not in name}
    return named == subjects


def here(world: simulation.World) -> soundness.Verification:
    """What a reader of the run's own folder finds who also looks for the signature."""
    store = fakes_evidence.MemoryEvidenceStore(
        {**world.store.documents, document_names.JOURNAL: world.journal.prefix()}
    )

    def look(found: soundness.HeldEvidence) -> None:
        signatures.Trust().check(found, store)

    return verification.verify(store, checks=[look])


def test_a_signature_speaks_of_every_document_published_and_of_nothing_else() -> None:
    signer = fakes_signing.CountingSigner()
    world = signed_world(signer).run()

    assert holds(world, signer)
    assert world.place.documents[NAME] == world.store.documents[NAME]


@pytest.mark.parametrize("crash", ["crash_before", "crash_after"])
@pytest.mark.parametrize("name", [NAME, document_names.PLAN, document_names.REPORT, SNAPSHOT])
def test_a_crash_while_publishing_is_resumed_with_the_signature_that_was_frozen(name: str, crash: str) -> None:
    signer = fakes_signing.CountingSigner()
    world = signed_world(signer)
    setattr(world.place, crash, name)
    world.begin()

    with pytest.raises(fakes_journal.Crashed):
        world.drive()
    frozen = world.store.documents[NAME]
    setattr(world.place, crash, "")
    world.drive(resumed=True)

    assert signer.signed == 1
    assert world.place.documents[NAME] == frozen
    assert holds(world, signer)


def test_the_snapshot_is_never_anywhere_before_its_signature_is_everywhere() -> None:
    world = signed_world(fakes_signing.CountingSigner())
    world.place.crash_before = NAME
    world.begin()

    with pytest.raises(fakes_journal.Crashed):
        world.drive()

    assert SNAPSHOT not in world.store.documents
    assert SNAPSHOT not in world.place.documents


def test_a_key_that_does_not_answer_fails_the_publication_and_resume_signs_then() -> None:
    signer = fakes_signing.CountingSigner(failures=1)
    world = signed_world(signer)
    world.begin()

    with pytest.raises(errors.PublicationFailed, match="could not be signed: kms:Sign"):
        world.drive()
    unsigned = here(world)
    world.drive(resumed=True)

    assert (unsigned.name, unsigned.exit_code) == (document_names.unpublished_name("m10_f", catalogues.Kind.BURST), 3)
    assert "NotSigned" in unsigned.why
    assert signer.signed == 1
    assert holds(world, signer)
    assert here(world).name == SNAPSHOT


def test_a_frozen_signature_of_something_else_is_never_published() -> None:
    signer = fakes_signing.CountingSigner()
    world = signed_world(signer)
    other = simulation.World().run()
    verdict = snapshots.Verdict.read(other.store.documents[SNAPSHOT])
    subjects = attestations.subjects(SNAPSHOT, verdict, b"another report")
    world.store.documents[NAME] = signer.sign(attestations.statement(subjects, verdict.snapshot))
    world.begin()

    with pytest.raises(errors.PublicationFailed, match="does not speak of what is to be published"):
        world.drive()

    assert world.place.documents == {}


def test_a_plan_that_asks_for_no_signature_gets_none() -> None:
    world = simulation.World().run()

    assert NAME not in world.store.documents
