-- What is set and checked when a connection is opened.

-- name: set_session
SELECT
    set_config('TimeZone', 'UTC', false),
    set_config('lock_timeout', '3s', false),
    set_config('statement_timeout', '10s', false),
    set_config('idle_in_transaction_session_timeout', '40s', false),
    -- What the role has would end an idle daemon's session, or a batch that may go on.
    set_config('idle_session_timeout', '0', false),
    CASE WHEN current_setting('transaction_timeout', true) IS NOT NULL
        THEN set_config('transaction_timeout', '0', false)
    END,
    -- So the server finds a cut wire as soon as its client does.
    set_config('tcp_keepalives_idle', '10', false),
    set_config('tcp_keepalives_interval', '5', false),
    set_config('tcp_keepalives_count', '3', false),
    -- The checks of foreign keys keep their plans, and one that was made while a table was empty
    -- would read all of it for each row, for ever. Planning each check anew (plan_cache_mode =
    -- force_custom_plan) makes inserting 2.5 times slower; everything here goes by an index anyway.
    set_config('enable_seqscan', 'off', false),
    -- All that is prepared goes by an index, however many rows it is for. Left to itself the server
    -- plans what is for few rows each time.
    set_config('plan_cache_mode', 'force_generic_plan', false),
    -- To start workers takes longer than all that a batch asks for: with them, reading back what it
    -- had written took 25 ms instead of 2.
    set_config('max_parallel_workers_per_gather', '0', false),
    -- Before PostgreSQL 18 enable_seqscan makes a table without an index so expensive, on paper, that
    -- reading its one row was compiled first: 70 ms of each start.
    set_config('jit', 'off', false)

-- name: bound_transaction
-- The same for one transaction: behind a pooler the session is also that of others.
SELECT
    set_config('client_encoding', 'UTF8', true),
    set_config('TimeZone', 'UTC', true),
    set_config('lock_timeout', '3s', true),
    set_config('statement_timeout', '10s', true),
    set_config('idle_in_transaction_session_timeout', '40s', true),
    CASE WHEN current_setting('transaction_timeout', true) IS NOT NULL
        THEN set_config('transaction_timeout', '0', true)
    END,
    set_config('enable_seqscan', 'off', true),
    set_config('max_parallel_workers_per_gather', '0', true),
    set_config('jit', 'off', true)

-- name: durable_transaction
-- What is acked must outlive a crash of the server; all other levels are the operator's choice. In
-- each transaction, for the settings of server, database and role may change under a session.
SELECT set_config('synchronous_commit', 'on', true)
WHERE current_setting('synchronous_commit') = 'off'

-- name: find_session
-- Functions, as the views of the same would read all sessions and all settings first.
SELECT
    pg_backend_pid(),
    (SELECT backend_start FROM pg_stat_get_activity(pg_backend_pid())),
    current_setting('server_encoding'),
    current_database(),
    array(
        SELECT name
        FROM unnest(ARRAY['fsync', 'full_page_writes']) AS name
        WHERE current_setting(name) = 'off'
    )

-- name: replace_session
-- A session that was cut off is there until the server finds out: its role may end it before.
SELECT pg_terminate_backend(pid)
FROM pg_stat_activity
WHERE
    pid = %(pid)s::integer
    AND backend_start = %(started_at)s::timestamptz
    AND application_name = current_setting('application_name')

-- name: end_frozen
-- No time-out of the server applies to a session that waits for its client to read: the locks of a
-- daemon that stands still then would be held for ever. Sessions of the same role and name.
SELECT pid, pg_terminate_backend(pid)
FROM pg_stat_activity
WHERE
    datname = current_database()
    AND usename = current_user
    AND application_name = current_setting('application_name')
    AND pid <> pg_backend_pid()
    AND state = 'active'
    AND wait_event = 'ClientWrite'
    AND query_start < now() - make_interval(secs => %(longest_s)s)

-- name: applied_migrations
SELECT version, name, checksum
FROM schema_migrations
ORDER BY version

-- name: take_time_to_migrate
-- A big table may take its time; others that wait for it are to be waited for.
SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '60s', true)

-- name: lock_migrations
-- The number is arbitrary; whoever migrates the same database takes the same one.
SELECT pg_advisory_xact_lock(7237128)

-- name: create_schema_migrations
CREATE TABLE IF NOT EXISTS schema_migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)

-- name: record_migration
INSERT INTO schema_migrations (version, name, checksum)
VALUES (%(version)s, %(name)s, %(checksum)s)
