"""The sandbox: a real Postgres and a reference gateway on one machine, for demos, rehearsals and tests."""
