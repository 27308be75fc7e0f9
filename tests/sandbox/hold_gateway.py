"""A parent to kill: starts a gateway on the database named by HELD_DSN, prints its pid, and sleeps."""

import os
import signal

from burst.sandbox import gateway


def main() -> None:
    """Holds a gateway until this process is killed."""
    with gateway.start(dsn=os.environ["HELD_DSN"], api_key="held") as running:
        print(running.pid, flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
