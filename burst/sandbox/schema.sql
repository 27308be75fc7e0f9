-- The two tables of an ingestion platform, as the platform itself creates them.
-- Times are text, as Python's datetime.isoformat() prints them: +00:00, microseconds absent when they are zero.
-- The platform has no index on time, so the count of a window has to do without one.

CREATE TABLE IF NOT EXISTS receipts (
    receipt_id text,
    platform_run_id text NOT NULL DEFAULT '',
    event_id text,
    event_type text,
    dedupe_key text,
    decision text,
    eb_topic text,
    eb_partition integer,
    eb_offset text,
    eb_offset_kind text,
    policy_id text,
    policy_revision text,
    policy_digest text,
    created_at_utc text,
    receipt_ref text,
    pins_json text,
    reason_codes_json text,
    evidence_refs_json text
);

CREATE UNIQUE INDEX IF NOT EXISTS receipts_run_receipt ON receipts (platform_run_id, receipt_id);
CREATE INDEX IF NOT EXISTS receipts_receipt ON receipts (receipt_id);

CREATE TABLE IF NOT EXISTS admissions (
    dedupe_key text PRIMARY KEY,
    state text,
    platform_run_id text,
    event_class text,
    event_id text,
    payload_hash text,
    receipt_ref text,
    receipt_write_failed boolean NOT NULL DEFAULT false,
    admitted_at_utc text
);
