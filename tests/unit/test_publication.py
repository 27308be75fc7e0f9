"""Publication: whatever call fails, no place has a snapshot without its documents, and doing it again ends it."""

import pytest

from burst.control import publication
from burst.domain.basics import errors
from tests import fakes_evidence

DOCUMENTS = {"plan.json": b"{}", "m10_f_task_result.json": b'{"tasks":[]}'}
SNAPSHOT = "m10_f_burst_snapshot.json"


class Failing(fakes_evidence.MemoryEvidenceStore):
    """A store that fails at the n-th call of all its kind, before or after the act."""

    def __init__(self, countdown: list[int], *, applied: bool) -> None:
        super().__init__()
        self._countdown = countdown
        self._applied = applied

    def put_once(self, name: str, content: bytes) -> None:
        if self._due() and not self._applied:
            raise errors.Unavailable("not sent")
        super().put_once(name, content)
        if self._countdown[0] == 0 and self._applied:
            raise errors.Unavailable("the answer was lost")

    def read(self, name: str) -> bytes:
        if self._due():
            raise errors.EvidenceUnknown("not answered")
        return super().read(name)

    def _due(self) -> bool:
        self._countdown[0] -= 1
        return self._countdown[0] == 0


def publish(places: list[Failing]) -> None:
    publication.spread(places, DOCUMENTS)
    publication.commit(places, SNAPSHOT, b"{}")


@pytest.mark.parametrize("applied", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("call", range(1, 13))
def test_a_fault_at_any_call_leaves_nothing_half_published_and_again_ends_it(call: int, applied: bool) -> None:
    countdown = [call]
    scoped, control = Failing(countdown, applied=applied), Failing(countdown, applied=applied)

    with pytest.raises(errors.PublicationFailed):
        publish([scoped, control])

    for place in (scoped, control):
        if SNAPSHOT in place.names():
            assert set(DOCUMENTS) <= set(place.names())
    if SNAPSHOT in control.names():
        assert SNAPSHOT in scoped.names()
    countdown[0] = -1
    publish([scoped, control])
    assert set(control.names()) == set(scoped.names()) == {*DOCUMENTS, SNAPSHOT}


def test_another_document_under_the_name_is_a_conflict_and_stays() -> None:
    place = fakes_evidence.MemoryEvidenceStore()
    place.put_once("plan.json", b"another run's")

    with pytest.raises(errors.PublicationFailed, match=r"plan\.json"):
        publication.spread([place], DOCUMENTS)

    assert place.read("plan.json") == b"another run's"
