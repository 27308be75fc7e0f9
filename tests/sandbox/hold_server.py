"""A parent to kill: starts a server, prints its DSN, and holds it until standard input ends."""

import sys

import psycopg

from burst.sandbox import embedded_postgres


def main() -> None:
    """Holds a server until standard input ends."""
    with embedded_postgres.start(durable=False) as server:
        with psycopg.connect(server.dsn) as connection:
            connection.execute("SELECT 1")
        print(server.dsn, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
