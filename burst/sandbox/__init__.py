"""What burst needs of the outside world, on one machine: a real Postgres and a reference ingestion gateway."""
