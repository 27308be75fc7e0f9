-- The table in which each shard of a playback keeps what was acknowledged (load.playback.checkpoint of a plan).
-- It may be applied again, and to a table that has the first six columns only.
--
--   psql "$WSP_CHECKPOINT_DSN" -v ON_ERROR_STOP=1 -f infra/sql/playback_checkpoint.sql
--
-- The role of the tasks needs SELECT, INSERT and UPDATE on it, and nothing else.

CREATE TABLE IF NOT EXISTS wsp_checkpoint (
    pack_key text NOT NULL,            -- the scope
    output_id text NOT NULL,           -- the shard, such as 0002-of-0004
    last_file text,                    -- the last record before which every record of the shard was acknowledged
    last_row_index bigint,
    last_ts_utc timestamptz,
    updated_at_utc timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (pack_key, output_id)
);

ALTER TABLE wsp_checkpoint ADD COLUMN IF NOT EXISTS low_water bigint NOT NULL DEFAULT 0;     -- records up to last_file
ALTER TABLE wsp_checkpoint ADD COLUMN IF NOT EXISTS beyond text NOT NULL DEFAULT '';         -- ranges after them
ALTER TABLE wsp_checkpoint ADD COLUMN IF NOT EXISTS recording text NOT NULL DEFAULT '';      -- digest of what is played
ALTER TABLE wsp_checkpoint ADD COLUMN IF NOT EXISTS fence bigint NOT NULL DEFAULT 0;         -- rises with each attempt
ALTER TABLE wsp_checkpoint ADD COLUMN IF NOT EXISTS attempt text NOT NULL DEFAULT '';        -- the run that has it now
