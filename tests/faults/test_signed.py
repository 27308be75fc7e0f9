"""A real run, signed: from keygen to a verification with the public key alone, and each document by its schema."""

import json
from typing import Any

from burst.adapters import signing
from burst.report import schemas
from tests import json_schemas
from tests.faults import stage

SIGNATURE = "m10_f_burst_snapshot.dsse.json"


def written(ran: stage.Ran) -> dict[str, list[Any]]:
    """What the run wrote, by kind of document."""
    found = {
        kind: [json.loads(path.read_bytes())]
        for kind, known in schemas.KINDS.items()
        if (path := ran.folder / known.name.format(slug="m10_f", kind="burst")).is_file() and kind != "journal"
    }
    return {**found, "journal": ran.events()}


def test_a_signed_run_verifies_with_the_public_key_and_with_no_other(play: stage.Stage) -> None:
    key, other = play.folder / "signing.pem", play.folder / "other.pub"
    made = play.burst("evidence", "keygen", "-o", key)
    other.write_bytes(signing.generate_key_pair()[1])
    command, ran = play.begin(play.plan({**stage.UNHURRIED, "evidence": {"sign": {"key": f"file:{key}"}}}))
    answer = command.wait()
    assert (made.code, answer.code) == (0, 0), answer.err

    sound = play.burst("verify", ran.folder, "--require-signature", "--key", f"{key}.pub", "--json")
    wrong = play.burst("evidence", "verify", ran.folder, "--key", other)

    assert key.stat().st_mode & 0o777 == 0o600
    assert (sound.code, sound.document["signature"]["state"]) == (0, "verified")
    assert (wrong.code, "not by the key given" in wrong.out) == (8, True)
    assert b"PRIVATE KEY" not in play.said()
    documents = written(ran)
    assert {"plan", "snapshot", "metrics", "task-result", "facts", "journal", "signature"} <= documents.keys()
    for kind, values in documents.items():
        for value in values:
            json_schemas.validator(kind, "strict").validate(value)
    assert documents["journal"][0]["schema"] == "burst.journal/v1"


def test_a_key_that_others_can_read_is_refused_before_anything_is_launched(play: stage.Stage) -> None:
    key = play.folder / "signing.pem"
    key.write_bytes(signing.generate_key_pair()[0])
    key.chmod(0o644)

    refused = play.burst("run", play.plan({"evidence": {"sign": {"key": f"file:{key}"}}}))

    assert refused.code == 4
    assert f"chmod 600 {key}" in refused.err
    assert not play.runs.exists()
