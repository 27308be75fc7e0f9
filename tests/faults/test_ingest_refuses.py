"""An ingest that takes nothing: no receipts are no data, never a ratio, and the blockers say so.

Preflight would refuse each of these: the ingest it looks at is another than the one the tasks then meet.
"""

import contextlib
import socket
from collections.abc import Callable, Iterator

import pytest

from tests.faults import stage


@contextlib.contextmanager
def wrong_key(play: stage.Stage) -> Iterator[str]:
    """Every answer is 401."""
    yield "IG_API_KEY=a-key-the-gateway-does-not-know"


@contextlib.contextmanager
def wrong_path(play: stage.Stage) -> Iterator[str]:
    """Every answer is 404."""
    yield f"BURST_HOST={play.host}/elsewhere"


@contextlib.contextmanager
def silent(play: stage.Stage) -> Iterator[str]:
    """Connections are taken, and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"BURST_HOST=http://127.0.0.1:{listening.getsockname()[1]}"


@contextlib.contextmanager
def closed(play: stage.Stage) -> Iterator[str]:
    """Nobody listens: the port is held, so that nobody else comes to."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"BURST_HOST=http://127.0.0.1:{held.getsockname()[1]}"


@pytest.mark.parametrize("refusing", [wrong_key, wrong_path, silent, closed], ids=lambda how: how.__name__)
def test_an_ingest_that_takes_nothing_gives_no_data_and_no_ratio(
    play: stage.Stage, refusing: Callable[[stage.Stage], contextlib.AbstractContextManager[str]]
) -> None:
    with refusing(play) as met:
        command, ran = play.begin(play.plan({"load": {"command": ["env", met, *stage.SENDER]}}))
        answer = command.wait()

    assert answer.code == 3, answer.err
    checks = ran.snapshot()["burst_load_checks"]
    assert checks["no_data"] is True
    assert checks["admit_ratio"]["value"] is None
    assert checks["achieved_multiplier"]["value"] is None
    assert (checks["counts"]["ADMIT"], checks["counts"]["DUPLICATE"]) == (0, 0)
    assert stage.open_blockers(ran.snapshot()) == {"B1", "B9"}
    assert ran.nothing_left()
    assert play.verify(ran) == 3
