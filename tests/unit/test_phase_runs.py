"""Runs of every kind of phase in simulated time: published, signed, and resumed under the names of their kind."""

import json
from typing import Any

import pytest

from burst.domain.basics import errors
from burst.domain.documents import document_names
from burst.domain.plan import catalogues, plans
from burst.domain.verdict import attestations
from tests import fakes_signing, simulation
from tests.unit import test_phase_kinds as phases
from tests.unit.test_signed_runs import here

KINDS = phases.RUN_KINDS


def plan(kind: catalogues.Kind, **changes: Any) -> plans.Plan:
    """The plan of the simulation, of a kind, without facts."""
    value = simulation.plan(facts=[], gates={"admit_ratio": 0.995}, baseline=None, **changes).document()
    return plans.parse(json.dumps(value | {"kind": kind.value}), source="p")


def make_world(kind: catalogues.Kind, signer: fakes_signing.CountingSigner) -> simulation.World:
    world = simulation.World(plan(kind))
    world.signer = signer.get
    return world


def names(kind: catalogues.Kind) -> tuple[str, str, str]:
    """Snapshot, signature, and what speaks for the snapshot until it is published."""
    return (
        document_names.snapshot_name("m10_f", kind),
        document_names.signature_name("m10_f", kind),
        document_names.unpublished_name("m10_f", kind),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_is_published_and_signed_under_the_names_of_its_kind(kind: catalogues.Kind) -> None:
    signer = fakes_signing.CountingSigner()
    world = make_world(kind, signer).run()
    snapshot, signature, _ = names(kind)

    signed = json.loads(attestations.read(world.place.documents[signature]).statement)
    assert snapshot in {subject["name"] for subject in signed["subject"]}
    assert world.document["kind"] == kind.value
    assert [name for name in world.place.documents if "snapshot" in name] == [signature, snapshot]
    assert here(world).name == snapshot


@pytest.mark.parametrize("kind", KINDS)
def test_a_failed_publication_opens_the_blocker_of_the_kind_until_it_is_resumed(kind: catalogues.Kind) -> None:
    signer = fakes_signing.CountingSigner(failures=1)
    world = make_world(kind, signer)
    world.begin()
    snapshot, _, unpublished = names(kind)

    with pytest.raises(errors.PublicationFailed):
        world.drive()
    before = here(world)
    world.drive(resumed=True)

    assert before.name == unpublished
    assert before.verdict is not None
    publication = catalogues.CATALOGUES[kind].find_short(catalogues.Role.PUBLICATION)
    assert f"M10F-{publication}" in before.verdict.snapshot.blockers
    assert here(world).name == snapshot
