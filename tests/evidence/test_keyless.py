"""Keyless attestations: signed by an identity, logged, and read again, with a private Sigstore on loopback.

All that is verified, Sigstore's own library verifies. Each test breaks one thing, and is refused for that reason.
"""

import base64
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from burst import evidence
from burst.adapters import keyless, sigstore_client
from burst.cli import main
from burst.domain.basics import errors, redaction
from burst.domain.verdict import predicates
from burst.kit import own_programs
from tests import private_sigstore, private_timestamps, waiting
from tests.evidence import evidencing

PASSED, HELD = "m10_20260221T020923Z_000001", "m10_20260221T030923Z_000002"
ALICE, BOB = "alice@burst.test", "bob@burst.test"
IMAGE = f"ghcr.io/acme/ingest@sha256:{'a' * 64}"
CERTIFICATES, ENTRIES = "/api/v2/signingCert", "/api/v1/log/entries"
GOOGLE = Path("/sys/class/dmi/id/product_name")

Bundle = dict[str, Any]
Sigstore = private_sigstore.PrivateSigstore


@pytest.fixture(scope="module")
def sigstore() -> Iterator[Sigstore]:
    with private_sigstore.served() as services:
        yield services


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    evidencing.folder(folder, PASSED, evidencing.published(evidencing.case(PASSED)))
    evidencing.folder(folder, HELD, evidencing.published(evidencing.case(HELD, passing=False)))
    return folder


@pytest.fixture(scope="module")
def trust(sigstore: Sigstore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of those who trust this Sigstore."""
    return write(tmp_path_factory.mktemp("trust") / "trust.json", sigstore.write_trust_config())


@pytest.fixture(scope="module")
def signed(sigstore: Sigstore, runs: Path, trust: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A bundle of the HOLD's test result, by Alice."""
    token = write(tmp_path_factory.mktemp("token") / "token", sigstore.provider.make_token(ALICE).encode())
    signer = evidence.Keyless(identity_token=f"file:{token}", trust_config=trust)
    return evidence.attest(runs / HELD, word="test-result", key=signer)


def write(path: Path, content: bytes) -> Path:
    """The file with that content."""
    path.write_bytes(content)
    return path


def attest(run: Path, trust: Path, file: Path, *more: str, word: str = "vsa") -> int:
    """The exit code of `burst evidence attest --keyless` with the token in TOKEN."""
    words = ["evidence", "attest", str(run), "--predicate", word, "--keyless", "--trust-config", str(trust)]
    return main.main([*words, "--identity-token", "env:TOKEN", "-o", str(file), *more])


def verify(file: Path, run: Path, trust: Path, *more: str, identity: str = ALICE, issuer: str = "") -> int:
    """The exit code of `burst evidence verify-attestation`."""
    signer = ["--identity", identity, "--issuer", issuer or private_sigstore.IdentityProvider().issuer]
    return main.main(
        ["evidence", "verify-attestation", str(file), str(run), *signer, "--trust-config", str(trust), *more]
    )


def test_a_passed_run_is_attested_by_an_identity_and_read_again(
    sigstore: Sigstore,
    runs: Path,
    trust: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    token = sigstore.provider.make_token(ALICE)
    monkeypatch.setenv("TOKEN", token)
    file = tmp_path / "vsa.sigstore.json"

    codes = attest(runs / PASSED, trust, file), verify(file, runs / PASSED, trust, "--json")

    told = capfd.readouterr()
    assert codes == (0, 0)
    said = json.loads(told.out)
    assert (said["identity"], said["issuer"]) == (ALICE, sigstore.provider.issuer)
    assert (said["predicate"], said["overall_pass"], said["execution_id"]) == ("vsa", True, PASSED)
    assert said["log_index"] == len(sigstore.log.bodies) - 1
    assert f"signed as {ALICE} of {sigstore.provider.issuer}" in told.err
    assert token not in told.out + told.err + file.read_text()


def test_a_hold_is_attested_as_failed_and_read_as_a_hold(
    runs: Path, trust: Path, signed: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "held.json", signed)

    assert verify(file, runs / HELD, trust) == 3
    assert f"HOLD of {HELD}: test-result of {evidencing.SNAPSHOT}@sha256:" in capsys.readouterr().out
    payload = json.loads(base64.b64decode(json.loads(signed)["dsseEnvelope"]["payload"]))
    assert payload["predicate"]["result"] == "FAILED"


def test_sigstores_own_command_verifies_the_bundle(
    sigstore: Sigstore, runs: Path, trust: Path, signed: bytes, tmp_path: Path
) -> None:
    bundle, snapshot = write(tmp_path / "held.json", signed), runs / HELD / evidencing.SNAPSHOT
    words = [sys.executable, "-m", "sigstore", "--trust-config", str(trust), "verify", "identity", str(snapshot)]
    words += ["--bundle", str(bundle), "--cert-oidc-issuer", sigstore.provider.issuer, "--cert-identity"]

    codes = [
        subprocess.run([*words, who], capture_output=True, timeout=waiting.PROCESS_SECONDS).returncode
        for who in (ALICE, BOB)
    ]

    assert codes == [0, 1]


def test_a_signature_of_the_snapshot_itself_is_read_too(
    sigstore: Sigstore, runs: Path, trust: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, snapshot = tmp_path / "snapshot.sigstore.json", runs / PASSED / evidencing.SNAPSHOT
    words = [sys.executable, "-m", "sigstore", "--trust-config", str(trust), "sign", "--bundle", str(bundle)]
    token = sigstore.provider.make_token(ALICE)
    subprocess.run(
        [*words, "--identity-token", token, str(snapshot)],
        capture_output=True,
        check=True,
        timeout=waiting.PROCESS_SECONDS,
    )

    assert verify(bundle, runs / PASSED, trust) == 0
    assert f"signature of {evidencing.SNAPSHOT}@" in capsys.readouterr().out
    assert verify(bundle, runs / HELD, trust) == 8
    assert verify(bundle, runs / PASSED, trust, "--subject", IMAGE) == 8
    assert f"says nothing of {IMAGE}" in capsys.readouterr().err


def test_a_log_of_the_second_version_takes_its_time_from_an_authority(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with private_sigstore.served() as services:
        services.timestamps = private_timestamps.TimestampAuthority()
        trust = write(tmp_path / "trust.json", services.write_trust_config())
        monkeypatch.setenv("TOKEN", services.provider.make_token(ALICE))

        assert attest(runs / PASSED, trust, tmp_path / "vsa.json") == 0
        services.timestamps.ahead_seconds = 3600
        assert attest(runs / PASSED, trust, tmp_path / "late.json") == 4
        services.silent = private_sigstore.TIMESTAMPS
        assert attest(runs / PASSED, trust, tmp_path / "timeless.json") == 4

    told = capsys.readouterr().err
    assert "not valid at validation time" in told
    assert "inclusion promise or signed timestamp" in told
    assert not (tmp_path / "late.json").exists() | (tmp_path / "timeless.json").exists()
    assert verify(tmp_path / "vsa.json", runs / PASSED, trust) == 0
    services.timestamps = private_timestamps.TimestampAuthority()
    other = write(tmp_path / "other.json", services.write_trust_config())
    assert verify(tmp_path / "vsa.json", runs / PASSED, other) == 8
    assert "not enough sources of verified time" in capsys.readouterr().err


def test_no_identity_token_goes_to_an_authority_whose_way_everybody_can_read(
    sigstore: Sigstore, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = json.loads(sigstore.write_trust_config())
    config["signingConfig"]["caUrls"][0]["url"] = "http://fulcio.acme.example:8080/x?y=z"
    trust = write(tmp_path / "trust.json", json.dumps(config).encode())
    monkeypatch.setenv("TOKEN", sigstore.provider.make_token(ALICE))

    code = attest(runs / PASSED, trust, tmp_path / "vsa.json")

    assert code == 2
    assert "signingConfig.caUrls: saw http://fulcio.acme.example, to which" in capsys.readouterr().err
    assert not (tmp_path / "vsa.json").exists()


def test_a_pipeline_gives_its_own_identity_where_none_is_named(
    sigstore: Sigstore, runs: Path, trust: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{sigstore.url}/identity?of=job")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", private_sigstore.REQUEST_SECRET)

    content = evidence.attest(runs / PASSED, word="vsa", key=evidence.Keyless(trust_config=trust))

    file = write(tmp_path / "vsa.json", content)
    assert verify(file, runs / PASSED, trust, identity=private_sigstore.PIPELINE) == 0


@pytest.mark.skipif(
    GOOGLE.is_file() and GOOGLE.read_text().startswith("Google"),
    reason="every machine of Google's cloud has an identity",
)
def test_without_an_identity_nothing_is_signed(
    runs: Path, trust: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("GITHUB_ACTIONS", "GOOGLE_SERVICE_ACCOUNT_NAME", "BUILDKITE", "GITLAB_CI", "CIRCLECI"):
        monkeypatch.delenv(name, raising=False)

    words = ["evidence", "attest", str(runs / PASSED), "--predicate", "vsa", "--keyless", "--trust-config", str(trust)]

    assert main.main(words) == 2
    assert "no token was named" in capsys.readouterr().err


def _changed(change: Callable[[Bundle], object]) -> Callable[[bytes, Sigstore], bytes]:
    """A bundle with one thing changed in its JSON."""

    def spoil(signed: bytes, _: Sigstore) -> bytes:
        value = json.loads(signed)
        change(value)
        return json.dumps(value).encode()

    return spoil


def _logged(answer: Callable[[Sigstore, int], dict[str, Any]]) -> Callable[[bytes, Sigstore], bytes]:
    """A bundle with what another log says of its entry, or this log at another time."""

    def spoil(signed: bytes, sigstore: Sigstore) -> bytes:
        value = json.loads(signed)
        entry = value["verificationMaterial"]["tlogEntries"][0]
        (said,) = answer(sigstore, int(entry["logIndex"])).values()
        proof = said["verification"]["inclusionProof"]
        entry["integratedTime"] = str(said["integratedTime"])
        entry["canonicalizedBody"] = said["body"]
        entry["inclusionPromise"] = {"signedEntryTimestamp": said["verification"]["signedEntryTimestamp"]}
        entry["inclusionProof"] = {
            "logIndex": str(proof["logIndex"]),
            "treeSize": str(proof["treeSize"]),
            "rootHash": _hex_as_base64(proof["rootHash"]),
            "hashes": [_hex_as_base64(each) for each in proof["hashes"]],
            "checkpoint": {"envelope": proof["checkpoint"]},
        }
        return json.dumps(value).encode()

    return spoil


def _hex_as_base64(text: str) -> str:
    return private_sigstore.encode_base64(bytes.fromhex(text))


def _entry(value: Bundle) -> dict[str, Any]:
    entry: dict[str, Any] = value["verificationMaterial"]["tlogEntries"][0]
    return entry


def _say_passed(value: Bundle) -> None:
    payload = base64.b64decode(value["dsseEnvelope"]["payload"]).replace(b'"FAILED"', b'"PASSED"')
    value["dsseEnvelope"]["payload"] = private_sigstore.encode_base64(payload)


def _by_another_log(sigstore: Sigstore, index: int) -> dict[str, Any]:
    return private_sigstore.TransparencyLog(bodies=list(sigstore.log.bodies)).answer(index)


def _an_hour_later(sigstore: Sigstore, index: int) -> dict[str, Any]:
    log = private_sigstore.TransparencyLog(key=sigstore.log.key, bodies=list(sigstore.log.bodies), ahead_seconds=3600)
    return log.answer(index)


def _of_another_entry(sigstore: Sigstore, index: int) -> dict[str, Any]:
    """The log's true word on an entry that names another statement."""
    body = json.loads(sigstore.log.bodies[index])
    body["spec"]["payloadHash"]["value"] = "0" * 64
    bodies = [*sigstore.log.bodies[:index], json.dumps(body).encode()]
    return private_sigstore.TransparencyLog(key=sigstore.log.key, bodies=bodies).answer(index)


SPOILED: dict[str, tuple[Callable[[bytes, Sigstore], bytes], str]] = {
    "a changed statement": (_changed(_say_passed), "DSSE: invalid signature"),
    "no entry of a log": (
        _changed(lambda value: value["verificationMaterial"].update(tlogEntries=[])),
        "exactly one log entry",
    ),
    "an entry of a log with another key": (_logged(_by_another_log), "invalid log entry"),
    "an entry of another statement": (_logged(_of_another_entry), "payload hash does not match"),
    "a proof of another tree": (
        _changed(lambda value: _entry(value)["inclusionProof"].update(logIndex="0")),
        "invalid log entry: inclusion proof",
    ),
    "no promise of the time": (_changed(lambda value: _entry(value).pop("inclusionPromise")), "inclusion promise"),
    "another time than was promised": (
        _changed(lambda value: _entry(value).update(integratedTime=str(int(_entry(value)["integratedTime"]) + 1))),
        "invalid inclusion promise",
    ),
    "a certificate that had expired": (_logged(_an_hour_later), "cert is not valid at validation time"),
    "no certificate": (
        _changed(lambda value: value["verificationMaterial"].pop("certificate")),
        "verificationMaterial: Value error",
    ),
    "an envelope without a bundle": (
        lambda signed, _: json.dumps(json.loads(signed)["dsseEnvelope"]).encode(),
        "mediaType: Field required",
    ),
    "no JSON": (lambda signed, _: signed[:-1], "Invalid JSON"),
    "no text": (lambda signed, _: b"\xff" + signed, "the signature does not hold"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_bundle_that_does_not_hold_is_refused_with_the_reason(
    sigstore: Sigstore,
    runs: Path,
    trust: Path,
    signed: bytes,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    spoil, said = SPOILED[name]
    file = write(tmp_path / "spoiled.json", spoil(signed, sigstore))

    assert verify(file, runs / HELD, trust) == 8
    told = capsys.readouterr()
    assert "the signature does not hold: " in told.err
    assert said in told.err
    assert told.out == ""


@pytest.mark.parametrize(
    ("identity", "issuer", "said"),
    [
        pytest.param(BOB, "", f"do not match {BOB}; actual SANs: {{'{ALICE}'}}", id="identity"),
        pytest.param(ALICE, "https://other.example", "expected 'https://other.example'", id="issuer"),
    ],
)
def test_another_signer_than_was_asked_for_is_refused(
    runs: Path,
    trust: Path,
    signed: bytes,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    identity: str,
    issuer: str,
    said: str,
) -> None:
    file = write(tmp_path / "held.json", signed)

    assert verify(file, runs / HELD, trust, identity=identity, issuer=issuer) == 8
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("identity", "issuer"), [("", "https://ci.example/issuer"), (ALICE, ""), (ALICE, " ")])
def test_a_signer_without_a_name_or_without_an_issuer_is_a_mistake(
    runs: Path, trust: Path, signed: bytes, tmp_path: Path, identity: str, issuer: str
) -> None:
    """Sigstore's library takes no issuer for any issuer; a shell gives none where its variable is not set."""
    file = write(tmp_path / "held.json", signed)

    with pytest.raises(errors.UsageError, match="is empty"):
        evidence.verify_attestation(
            file, runs / HELD, identity=identity, issuer=issuer, keyless=evidence.Keyless(trust_config=trust)
        )


def test_services_that_are_not_trusted_are_refused(
    sigstore: Sigstore, runs: Path, trust: Path, signed: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The certificate authority of another Sigstore, and a certificate log with another key."""
    other = private_sigstore.PrivateSigstore(port=1)
    of_others = write(tmp_path / "others.json", other.write_trust_config())
    config = json.loads(sigstore.write_trust_config())
    config["trustedRoot"]["ctlogs"] = json.loads(other.write_trust_config())["trustedRoot"]["ctlogs"]
    other_log = write(tmp_path / "other_log.json", json.dumps(config).encode())
    file = write(tmp_path / "held.json", signed)

    assert verify(file, runs / HELD, of_others) == 8
    assert "failed to build timestamp certificate chain" in capsys.readouterr().err
    assert verify(file, runs / HELD, other_log) == 8
    assert "failed to verify SCT" in capsys.readouterr().err


def test_the_right_signer_who_says_other_than_the_evidence_is_refused(
    sigstore: Sigstore, runs: Path, trust: Path, signed: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    statement = base64.b64decode(json.loads(signed)["dsseEnvelope"]["payload"]).replace(b'"FAILED"', b'"PASSED"')
    token = redaction.Secret(sigstore.provider.make_token(ALICE))
    services = keyless.SigstoreServices(trust_config=trust.read_bytes())
    file = write(tmp_path / "lie.json", keyless.sign(statement, token, services).bundle)

    assert verify(file, runs / HELD, trust) == 8
    assert "the attestation says other than the evidence: result" in capsys.readouterr().err


def test_an_attestation_is_of_one_snapshot(
    runs: Path, trust: Path, signed: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not of another run, not of an artifact that it does not name, and of no evidence that was changed."""
    file = write(tmp_path / "held.json", signed)
    contents = evidencing.published(evidencing.case(HELD, passing=False))
    snapshot = contents[evidencing.SNAPSHOT].replace(b'"overall_pass":false', b'"overall_pass":true')
    changed = evidencing.folder(tmp_path / "changed", HELD, {**contents, evidencing.SNAPSHOT: snapshot})

    assert verify(file, runs / PASSED, trust) == 8
    assert f"the attestation is of {evidencing.SNAPSHOT}@sha256:" in capsys.readouterr().err
    assert verify(file, runs / HELD, trust, "--subject", IMAGE) == 8
    assert f"and not of {IMAGE}" in capsys.readouterr().err
    assert snapshot != contents[evidencing.SNAPSHOT]
    assert verify(file, changed, trust) == 8
    assert verify(file, tmp_path / "no_run", trust) == 7


def test_an_image_is_attested_and_read_by_its_own_name(
    sigstore: Sigstore, runs: Path, trust: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", sigstore.provider.make_token(ALICE))
    file = tmp_path / "image.json"

    assert attest(runs / PASSED, trust, file, "--subject", IMAGE) == 0
    assert verify(file, runs / PASSED, trust, "--subject", IMAGE) == 0
    assert verify(file, runs / PASSED, trust) == 8


REFUSED: dict[str, tuple[Callable[[Sigstore], str], int, str]] = {
    "no token": (lambda _: "made-up-for-a-test", 2, "malformed or missing claims"),
    "for another audience": (
        lambda services: services.provider.make_token(ALICE, audience="x"),
        2,
        "audience sigstore",
    ),
    "an old token": (lambda services: services.provider.make_token(ALICE, seconds=-60), 2, "within its time"),
    "of another provider": (
        lambda _: private_sigstore.IdentityProvider().make_token(ALICE),
        4,
        f"{CERTIFICATES} answered 401",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_token_that_is_refused_is_never_shown(
    runs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    name: str,
) -> None:
    make, code, said = REFUSED[name]
    with private_sigstore.served() as services:
        services.echoes = True
        trust = write(tmp_path / "trust.json", services.write_trust_config())
        token = make(services)
        monkeypatch.setenv("TOKEN", token)

        assert attest(runs / PASSED, trust, tmp_path / "vsa.json") == code

    told = capfd.readouterr()
    assert said in told.err
    assert token[:20] not in told.out + told.err
    assert not (tmp_path / "vsa.json").exists()


UNUSABLE: dict[str, tuple[Callable[[Sigstore], object], str]] = {
    "certificate that is over": (lambda made: setattr(made.authority, "lifetime_seconds", -30), "does not hold"),
    "certificate of another authority": (
        lambda made: setattr(made.authority, "key", private_sigstore.make_key()),
        "does not hold",
    ),
    "certificate that no known log has": (
        lambda made: setattr(made.authority, "log_key", private_sigstore.make_key()),
        "SCT verify failed",
    ),
    "entry of a log with another key": (
        lambda made: setattr(made.log, "key", private_sigstore.make_key()),
        "invalid log entry",
    ),
    "entry of an hour later": (lambda made: setattr(made.log, "ahead_seconds", 3600), "not valid at validation time"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_the_services_answer_is_verified_before_it_is_written(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    break_it, said = UNUSABLE[name]
    with private_sigstore.served() as services:
        trust = write(tmp_path / "trust.json", services.write_trust_config())
        break_it(services)
        monkeypatch.setenv("TOKEN", services.provider.make_token(ALICE))

        assert attest(runs / PASSED, trust, tmp_path / "vsa.json") == 4

    assert said in capsys.readouterr().err
    assert not (tmp_path / "vsa.json").exists()


def test_services_that_are_down_are_named(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with private_sigstore.served() as services:
        trust = write(tmp_path / "trust.json", services.write_trust_config())
        monkeypatch.setenv("TOKEN", services.provider.make_token(ALICE))

    assert attest(runs / PASSED, trust, tmp_path / "vsa.json") == 4
    assert f"{services.url}{CERTIFICATES} did not answer: ConnectionError" in capsys.readouterr().err
    assert not (tmp_path / "vsa.json").exists()


@pytest.mark.parametrize("silent", [CERTIFICATES, ENTRIES])
def test_a_service_that_never_answers_is_waited_for_no_longer_than_was_said(
    runs: Path, tmp_path: Path, silent: str
) -> None:
    with private_sigstore.served() as services:
        services.silent = silent
        token = write(tmp_path / "token", services.provider.make_token(ALICE).encode())
        trust = write(tmp_path / "trust.json", services.write_trust_config())
        signer = evidence.Keyless(identity_token=f"file:{token}", trust_config=trust, patience_seconds=4)
        began = time.monotonic()

        with pytest.raises(errors.Unavailable, match="no answer within 4 s"):
            evidence.attest(runs / PASSED, word="vsa", key=signer)

        assert time.monotonic() - began >= 4


def test_sigstores_library_ends_itself_though_nobody_waits_for_it_any_more() -> None:
    with private_sigstore.served() as services:
        services.silent = CERTIFICATES
        order: dict[str, Any] = {"act": "sign", "token": services.provider.make_token(ALICE)}
        order["trust_config"] = services.write_trust_config().decode()
        order["statement"] = predicates.make_statement("vsa", {}, []).decode()
        order |= {"seconds": 2.0, "data_bytes": keyless.LARGEST_DATA_BYTES}
        words = own_programs.start_words(sigstore_client.__name__)
        ended = subprocess.run(
            words, input=json.dumps(order).encode(), capture_output=True, timeout=waiting.PROCESS_SECONDS
        )

    assert (ended.returncode, ended.stdout) == (-signal.SIGALRM, b"")


def test_of_a_services_answer_no_more_is_read_than_the_program_has_memory_for(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with private_sigstore.served() as services:
        services.endless, services.endless_bytes = CERTIFICATES, 2 * keyless.LARGEST_DATA_BYTES
        monkeypatch.setenv("TOKEN", services.provider.make_token(ALICE))
        trust = write(tmp_path / "trust.json", services.write_trust_config())

        assert attest(runs / PASSED, trust, tmp_path / "vsa.json") == 4
    assert "ended with 1 before it answered" in capsys.readouterr().err
    assert 0 < services.sent_bytes < services.endless_bytes


def test_an_attestation_that_is_terminated_leaves_no_process_and_no_file(runs: Path, tmp_path: Path) -> None:
    """`tests/leaks.py` finds Sigstore's library where it still runs."""
    with private_sigstore.served() as services:
        services.silent = ENTRIES
        token = write(tmp_path / "token", services.provider.make_token(ALICE).encode())
        trust = write(tmp_path / "trust.json", services.write_trust_config())
        words = ["evidence", "attest", str(runs / PASSED), "--predicate", "vsa", "--keyless"]
        words += ["-o", str(tmp_path / "vsa")]
        words += ["--identity-token", f"file:{token}", "--trust-config", str(trust)]
        attesting = subprocess.Popen([sys.executable, "-m", "burst", *words], stderr=subprocess.DEVNULL)
        try:
            waiting.until(lambda: ENTRIES in services.asked, seconds=120, what="the log to be asked")
            attesting.terminate()

            assert attesting.wait(60) == 143
        finally:
            attesting.kill()
            attesting.wait()
    assert not (tmp_path / "vsa").exists()


def test_a_file_that_exists_is_refused_before_anything_is_signed(
    sigstore: Sigstore, runs: Path, trust: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", sigstore.provider.make_token(ALICE))
    file = write(tmp_path / "vsa.json", b"kept")
    entries = len(sigstore.log.bodies)

    assert attest(runs / PASSED, trust, file) == 2
    assert (file.read_bytes(), len(sigstore.log.bodies)) == (b"kept", entries)


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_signed(
    sigstore: Sigstore, runs: Path, trust: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", sigstore.provider.make_token(ALICE))
    no_folder = write(tmp_path / "notes.txt", b"a note")
    entries = len(sigstore.log.bodies)

    assert attest(runs / PASSED, trust, no_folder / "inner" / "vsa.json") == 2
    assert len(sigstore.log.bodies) == entries


def test_evidence_that_does_not_hold_is_signed_by_nobody(
    sigstore: Sigstore, runs: Path, trust: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", sigstore.provider.make_token(ALICE))
    contents = evidencing.published(evidencing.case(PASSED))
    changed = evidencing.folder(tmp_path, PASSED, {**contents, "m10_f_facts.json": b"{}"})
    entries = len(sigstore.log.bodies)

    assert attest(changed, trust, tmp_path / "vsa.json") == 8
    assert len(sigstore.log.bodies) == entries


@pytest.mark.parametrize(
    "words",
    [
        ["--keyless", "--key", "file:signing.pem"],
        ["--keyless", "--only-predicate"],
        ["--identity-token", "env:TOKEN"],
        ["--trust-config", "trust.json"],
        ["--keyless", "--trust-config", "no_such_file.json"],
        ["--keyless", "--identity-token", "made-up-for-a-test"],
    ],
)
def test_words_that_do_not_fit_together_are_a_mistake(
    runs: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["evidence", "attest", str(runs / PASSED), "--predicate", "vsa", *words]) == 2
    assert "made-up-for-a-test" not in capsys.readouterr().err


def test_a_trust_config_that_is_none_is_a_mistake_that_names_its_field(
    runs: Path, signed: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, trust = write(tmp_path / "held.json", signed), write(tmp_path / "trust.json", b'{"mediaType": "x"}')

    assert verify(file, runs / HELD, trust) == 2
    assert "the trust config cannot be used: mediaType" in capsys.readouterr().err


WITHOUT_EXTRA = """
import sys
sys.modules["sigstore"] = None
from burst.cli import main
sys.exit(main.main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        pytest.param(
            ["attest", "RUN", "--predicate", "vsa", "--keyless", "--identity-token", "env:TOKEN"], 2, id="signing"
        ),
        pytest.param(["verify-attestation", "FILE", "RUN", "--identity", ALICE, "--issuer", "x"], 9, id="reading"),
    ],
)
def test_without_the_extra_the_message_names_it(
    runs: Path, signed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int
) -> None:
    monkeypatch.setenv("TOKEN", "made-up-for-a-test")
    places = {"RUN": str(runs / PASSED), "FILE": str(write(tmp_path / "held.json", signed))}
    given = [places.get(word, word) for word in words]

    answer = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRA, "evidence", *given],
        capture_output=True,
        text=True,
        timeout=waiting.PROCESS_SECONDS,
    )

    assert answer.returncode == code, answer.stderr
    assert "pip install 'burst[sign]'" in answer.stderr


@pytest.mark.parametrize("word", predicates.TYPES)
def test_a_statement_is_made_again_from_the_evidence_and_no_field_is_free(runs: Path, word: str) -> None:
    found = evidence.verify(runs / PASSED).finding
    verdict, name = found.require_verdict(), str(found.name)
    artifact = predicates.TestedArtifact(name=name, sha256=verdict.sha256)
    said = json.loads(evidence.attest(runs / PASSED, word=word))

    def check(value: object) -> str:
        return predicates.check_statement(json.dumps(value).encode(), verdict, name, artifact)

    assert check(said) == word
    for field in said["predicate"].keys() - {"timeVerified"}:
        with pytest.raises(errors.EvidenceCorrupt, match=field):
            check({**said, "predicate": {**said["predicate"], field: "changed"}})
        with pytest.raises(errors.EvidenceCorrupt, match=field):
            check({**said, "predicate": {key: each for key, each in said["predicate"].items() if key != field}})
    for strange in (
        {**said, "more": 1},
        {**said, "_type": "x"},
        {**said, "predicate": {**said["predicate"], "more": 1}},
        {**said, "more": None},
        {**said, "predicate": {**said["predicate"], "more": None}},
    ):
        with pytest.raises(errors.EvidenceCorrupt, match="says other than the evidence"):
            check(strange)
    strangers: tuple[object, ...] = (
        [],
        {**said, "predicate": []},
        {**said, "subject": 1},
        {**said, "subject": [{"name": name}]},
    )
    for no_statement in strangers:
        with pytest.raises(errors.EvidenceCorrupt):
            check(no_statement)
    with pytest.raises(errors.EvidenceUnknown, match="allowed: https://in-toto"):
        check({**said, "predicateType": "urn:other"})


def test_a_summary_of_a_run_without_a_contract_says_other_than_its_evidence() -> None:
    run = Path(__file__).parent.parent / "fixtures/documents/v1/0.1.0/m10_pass"
    found = evidence.verify(run).finding
    verdict, name = found.require_verdict(), str(found.name)
    artifact = predicates.TestedArtifact(name=name, sha256=verdict.sha256)
    summary = predicates.make_statement("vsa", {"verificationResult": "PASSED"}, [artifact])

    with pytest.raises(errors.EvidenceCorrupt, match="says other than the evidence: m10_pass states no contract"):
        predicates.check_statement(summary, verdict, name, artifact)
