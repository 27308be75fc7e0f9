"""Kinds of failures: few words for why a request had no answer, the same from every program that burst ships.

The account counts failures by kind. The gate of the offered load tells by it what never left the machine of the
generator (`burst.domain.documents.load_documents`).
"""

import errno
import os
import socket
import ssl
from collections.abc import Iterator


def name_failure(exception: BaseException) -> str:
    """The kind of a failure, in few words that are the same for each of its kind."""
    causes = list(_list_causes(exception))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return "certificate not trusted"
    for cause in causes:
        name = type(cause).__name__
        if isinstance(cause, TimeoutError) or "timeout" in name.lower():
            return "timeout"
        if isinstance(cause, ssl.SSLError) or name in ("SSLError", "CertificateError"):
            return "tls"
        if isinstance(cause, socket.gaierror):
            return "name not resolved"
        if isinstance(cause, OSError) and cause.errno is not None:
            return f"{errno.errorcode.get(cause.errno, 'OSError')} {os.strerror(cause.errno)}"[:64]
    return type(exception).__name__


def _list_causes(exception: BaseException | None) -> Iterator[BaseException]:
    """The exception, and what it was made of, the innermost of which tells most."""
    waiting, looked_at = [exception], set[int]()
    while waiting and len(looked_at) < 10:
        cause = waiting.pop(0)
        if cause is None or id(cause) in looked_at:
            continue
        looked_at.add(id(cause))
        yield cause
        inner = [part for part in cause.args if isinstance(part, BaseException)]
        reason = getattr(cause, "reason", None)
        waiting += [*inner, reason if isinstance(reason, BaseException) else None, cause.__cause__, cause.__context__]
