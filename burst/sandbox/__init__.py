"""The sandbox: a real Postgres and a reference ingestion gateway on one machine, for demos, rehearsals and tests."""
