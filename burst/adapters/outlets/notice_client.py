"""Apprise as a program: a notice on stdin, an answer on stdout, both JSON. Needs the extra `outlets`.

It is a program of its own because Apprise reads an answer whole, and waits between two bytes of it without a limit in
all: here an answer without end fills no memory but that of this program, and the program ends itself in time. No answer
holds the address.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any

import apprise

from burst.kit import own_programs


def tell(order: Mapping[str, Any]) -> str:
    """`told`, `no-address` for one that Apprise cannot read, or `not-taken`."""
    asset = apprise.AppriseAsset(http_redirects=False)  # a redirect could lead the notice to another host
    service = apprise.Apprise.instantiate(order["address"], asset=asset, suppress_exceptions=True)
    if service is None:
        return "no-address"
    kind = apprise.NotifyType.SUCCESS if order["success"] else apprise.NotifyType.FAILURE
    # Words of a run are text: where a mail is HTML, or Slack would call everybody, Apprise escapes them.
    text = apprise.NotifyFormat.TEXT
    taken = service.notify(title=order["title"], body=order["body"], notify_type=kind, body_format=text)
    return "told" if taken else "not-taken"


def main() -> None:
    """Carries out the order on stdin."""
    order = json.load(sys.stdin)
    own_programs.limit_own(order["seconds"], order["data_bytes"])
    answer = tell(order)
    json.dump({"answer": answer}, sys.stdout)


if __name__ == "__main__":
    main()
