"""The part of `burst verify` that speaks of closures."""

from collections.abc import Sequence
from pathlib import Path

from burst.cli import common


def verify(output: common.Output, file: Path, search: Sequence[str], key: str | None, required: bool) -> int:
    """Scores a closure again, and shows whether it holds."""
    from burst import evidence

    place = _restore_address(file)
    verified = evidence.verify_closure(place, search, key=key, require_signature=required)
    signature = verified.signature
    value = {
        "state": verified.state.value,
        "why": verified.why,
        "exit_code": verified.exit_code,
        "place": place,
        "result": verified.closure.decision.result if verified.closure else None,
        "best": verified.closure.best if verified.closure else None,
        "signature": {"state": signature.state, "key_ids": list(signature.key_ids)} if signature else None,
    }
    lines = [f"{verified.state}: {verified.why}"]
    if signature is not None and signature.key_ids:
        lines.append(f"signature by key {', '.join(key_id[:16] for key_id in signature.key_ids)}: {signature.state}")
    output.result(value, "\n".join(lines))
    return verified.exit_code


def _restore_address(file: Path) -> str:
    """The place behind a path: a path takes one slash of an S3 address away."""
    words = str(file)
    return words.replace("s3:/", "s3://", 1) if words.startswith("s3:/") else words
