"""The master of a distributed burst: where its workers find it, and as which program."""

import json
import re
from dataclasses import asdict, dataclass

_HOST = re.compile(r"[0-9A-Za-z][0-9A-Za-z.:-]{0,252}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterAddress:
    """Host and port that workers connect to; `version` names Locust and burst, which workers have to run too."""

    host: str
    port: int
    version: str


def encode(master: MasterAddress) -> bytes:
    """As the bytes beside a lease."""
    return json.dumps(asdict(master), sort_keys=True).encode()


def decode(content: bytes) -> MasterAddress:
    """From its bytes. Raises ValueError for what makes no sense."""
    try:
        fields = json.loads(content)
        master = MasterAddress(host=str(fields["host"]), port=int(fields["port"]), version=str(fields["version"]))
    except (KeyError, TypeError) as exc:
        raise ValueError(f"{content[:80]!r} is no address of a master") from exc
    if not _HOST.fullmatch(master.host) or not 0 < master.port < 65536:
        raise ValueError(f"{content[:80]!r} is no address of a master")
    return master
