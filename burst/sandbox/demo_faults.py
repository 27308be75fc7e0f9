"""The fault of the demo: publishes of another scope get stuck in flight, and are resolved a while later.

    python -m burst.sandbox.demo_faults SECONDS     # leaves them stuck for so long

The DSN of the database's owner comes by the environment, under a name that no plan of the demo withholds.
"""

import os
import sys
import time

import psycopg

OWNER_DSN_NAME = "DEMO_OWNER_DSN"
STUCK = 11
"""One more than the burst's plan allows."""
_SCOPE = "platform_stuck"


def plant_stuck_publishes(dsn: str) -> None:
    """Leaves publishes of another scope in flight."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "insert into admissions (dedupe_key, state, platform_run_id) "
            "select 'stuck-' || n, 'PUBLISH_IN_FLIGHT', %s from generate_series(1, %s) n "
            "on conflict (dedupe_key) do update set state = excluded.state",
            (_SCOPE, STUCK),
        )


def resolve_stuck_publishes(dsn: str) -> None:
    """Resolves them."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("update admissions set state = 'ADMITTED' where platform_run_id = %s", (_SCOPE,))


def main() -> None:
    """Strikes, and mends it after so many seconds."""
    dsn = os.environ[OWNER_DSN_NAME]
    plant_stuck_publishes(dsn)
    try:
        time.sleep(float(sys.argv[1]))
    finally:
        resolve_stuck_publishes(dsn)


if __name__ == "__main__":
    main()
