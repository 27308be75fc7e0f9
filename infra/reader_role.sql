-- The role by which burst counts. Run it once as an administrator of the database, then give it its password:
--   psql "$ADMIN_DSN" -f infra/reader_role.sql
--   psql "$ADMIN_DSN" -c '\password burst_reader'
-- Names of tables are those of the platform; where yours differ, grant SELECT on them.

CREATE ROLE burst_reader LOGIN CONNECTION LIMIT 10;

-- Its own settings hold every session of it, whoever uses the DSN. burst sets shorter limits for each question.
ALTER ROLE burst_reader SET default_transaction_read_only = 'on';
ALTER ROLE burst_reader SET statement_timeout = '60s';
ALTER ROLE burst_reader SET lock_timeout = '5s';
ALTER ROLE burst_reader SET idle_in_transaction_session_timeout = '60s';

GRANT SELECT ON receipts, admissions TO burst_reader;

-- Optional: it then sees what other sessions do, the statements of other roles, and how a standby receives.
-- GRANT pg_monitor TO burst_reader;
