"""Sigstore's library as a program: an order on stdin, an answer on stdout, both JSON. Needs the extra `sign`.

It is a program of its own because the library waits for its services without a limit, and because a signature that
nobody waits for any more should not appear in a public log: `keyless` ends the program at the limit, and the program
ends itself where nobody does. All that is verified here, the library verifies; no answer holds an identity token.
"""

import ipaddress
import json
import sys
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pydantic
import requests
from cryptography import x509
from sigstore import dsse, models, oidc, sign, verify
from sigstore.verify import policy

from burst.domain.basics import redaction
from burst.kit import own_programs

LONGEST_REASON = 400
_ISSUER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_OTHER_NAME = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.7")
_NO_IDENTITY = (
    "no identity: no token was named, and this machine is no pipeline that gives one; allowed: --identity-token "
    "env:NAME or file:PATH, or a job that may ask for one (on GitHub: permissions: id-token: write)"
)
_ALLOWED_IDENTITY = "allowed: an OIDC token for the audience sigstore, within its time"

Order = Mapping[str, Any]
Answer = dict[str, Any]


class FailedOrderError(Exception):
    """No signature, or one that does not hold; `kind` says whose fault it is, as `keyless` reads it."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind


def sign_statement(order: Order) -> Answer:
    """A bundle around a statement, by a certificate for the identity; one that does not verify here is an error."""
    config = _read_trust_config(order["trust_config"])
    _refuse_open_way(config)
    raw = order["token"] if order["token"] is not None else _ask_pipeline()
    try:
        token = oidc.IdentityToken(raw)
        with sign.SigningContext.from_trust_config(config).signer(token) as signer:
            bundle = signer.sign_dsse(dsse.Statement(order["statement"].encode()))
        # Of any identity: the certificate authority decides which one, and the answer names it.
        verify.Verifier(trusted_root=config.trusted_root).verify_dsse(bundle, policy.UnsafeNoOp())
    except (oidc.IdentityError, oidc.ExpiredIdentity) as exc:
        why = str(exc) or "its time is over"
        raise FailedOrderError("usage", f"the identity token cannot be used: {why}; {_ALLOWED_IDENTITY}") from exc
    except MemoryError:
        raise  # an answer larger than this program may be says nothing
    except Exception as exc:  # the library lets errors of a dozen others through
        kind, why = _explain_failure(exc)
        raise FailedOrderError(kind, _shorten(redaction.Redactor((raw,)).text(why))) from exc
    return {"bundle": bundle.to_json(), **_describe_signer(bundle)}


def verify_bundle(order: Order) -> Answer:
    """The statement in a bundle, or none where it is a signature of the document itself."""
    config = _read_trust_config(order["trust_config"])
    signer = policy.Identity(identity=order["identity"], issuer=order["issuer"])
    try:
        bundle = models.Bundle.from_json(order["bundle"])
        verifier = verify.Verifier(trusted_root=config.trusted_root)
        if json.loads(order["bundle"]).get("dsseEnvelope") is None:
            verifier.verify_artifact(order["document"].encode(), bundle, signer)
            return {"statement": None, **_describe_signer(bundle)}
        payload_type, payload = verifier.verify_dsse(bundle, signer)
        return {"statement": payload.decode(), "payload_type": payload_type, **_describe_signer(bundle)}
    except MemoryError:
        raise
    except Exception as exc:  # whatever else a bundle makes the library raise, it does not hold
        raise FailedOrderError("corrupt", f"the signature does not hold: {_shorten(_word(exc))}") from exc


def _ask_pipeline() -> str:
    """The token of the pipeline that this runs in."""
    try:
        token = oidc.detect_credential()
    except oidc.IdentityError as exc:
        raise FailedOrderError("unavailable", f"this pipeline gave no identity token: {_shorten(_word(exc))}") from exc
    if token is None:
        raise FailedOrderError("usage", _NO_IDENTITY)
    return token


def _read_trust_config(text: str | None) -> models.ClientTrustConfig:
    """The keys that are trusted and the services to ask: those in the text, else the public Sigstore's."""
    if text is None:
        try:
            return models.ClientTrustConfig.production()
        except Exception as exc:
            why = (
                f"the keys of the public Sigstore cannot be had: {_shorten(_word(exc))}; --trust-config FILE needs none"
            )
            raise FailedOrderError("unavailable", why) from exc
    try:
        config = models.ClientTrustConfig.from_json(text)
        _ = config.trusted_root, config.signing_config
    except Exception as exc:
        raise FailedOrderError("usage", f"the trust config cannot be used: {_shorten(_word(exc))}") from exc
    return config


def _refuse_open_way(config: models.ClientTrustConfig) -> None:
    """Refuses an address at which the identity token would cross a network that others can read."""
    address = urllib.parse.urlsplit(config.signing_config.get_fulcio().url)
    if address.scheme != "https" and not _is_this_machine(address.hostname or ""):
        saw = f"signingConfig.caUrls: saw {address.scheme}://{address.hostname}"
        why = f"the trust config cannot be used: {saw}, to which everybody on the way could read the identity token"
        raise FailedOrderError("usage", f"{why}; allowed: https://, or this machine")


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _describe_signer(bundle: models.Bundle) -> Answer:
    """Who signed, by the certificate, and where the log has it."""
    extensions = bundle.signing_certificate.extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    identities = [*names.get_values_for_type(x509.RFC822Name)]
    identities += names.get_values_for_type(x509.UniformResourceIdentifier)
    others = [other.value for other in names.get_values_for_type(x509.OtherName) if other.type_id == _OTHER_NAME]
    identities += [value.decode("utf-8", "replace") for value in others]
    issuer = extensions.get_extension_for_oid(_ISSUER).value
    entry = json.loads(bundle.to_json())["verificationMaterial"]["tlogEntries"][0]
    return {
        "identity": ", ".join(identities),
        "issuer": issuer.value.decode("utf-8", "replace") if isinstance(issuer, x509.UnrecognizedExtension) else "",
        "log_index": int(entry["logIndex"]),
    }


def _explain_failure(failure: BaseException) -> tuple[str, str]:
    """Kind and words of a failure to sign: which service did not answer, or what it answered."""
    for exc in _list_causes(failure):
        if not isinstance(exc, requests.RequestException) or exc.request is None:
            continue
        url = str(exc.request.url)
        if exc.response is None:
            return "unavailable", f"{url} did not answer: {type(exc).__name__}"
        kind = "refused" if 400 <= exc.response.status_code < 500 else "unavailable"
        return kind, f"{url} answered {exc.response.status_code}: {exc.response.text}"
    return "refused", f"what the signing services answered does not hold: {_word(failure)}"


def _list_causes(failure: BaseException | None) -> Iterator[BaseException]:
    while failure is not None:
        yield failure
        failure = failure.__cause__ or failure.__context__


def _word(failure: BaseException) -> str:
    """The failure in one line: of a form that was not met, the field; else with the cause that it names, if any."""
    for exc in _list_causes(failure):
        if isinstance(exc, pydantic.ValidationError):
            first = exc.errors(include_input=False, include_url=False)[0]
            return f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}"
    words = " ".join(str(failure).split()) or type(failure).__name__
    cause = failure.__cause__
    return words if cause is None else f"{words} ({type(cause).__name__} {' '.join(str(cause).split())})"


def _shorten(words: str) -> str:
    return words if len(words) <= LONGEST_REASON else f"{words[:LONGEST_REASON]}…"


ACTS: Mapping[str, Callable[[Order], Answer]] = {"sign": sign_statement, "verify": verify_bundle}


def main() -> None:
    """Carries out the order on stdin."""
    order = json.load(sys.stdin)
    own_programs.limit_own(order["seconds"], order["data_bytes"])
    try:
        answer = ACTS[order["act"]](order)
    except FailedOrderError as exc:
        answer = {"refused": exc.kind, "why": str(exc)}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
