-- Locks of others on tables and rows.

-- name: table_locks
-- Those in the way of reading or writing, also those that are only asked for: whoever comes later
-- waits behind them. What others run is told to some roles only, and then it is null here.
SELECT
    ours.name,
    locks.mode,
    locks.granted,
    locks.pid,
    activity.application_name,
    to_char(activity.query_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
FROM unnest(%(tables)s::text[]) AS ours (name)
JOIN pg_locks AS locks ON locks.relation = to_regclass(ours.name)
LEFT JOIN pg_stat_activity AS activity ON activity.pid = locks.pid
WHERE locks.locktype = 'relation'
    AND locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND locks.mode = ANY(%(modes)s::text[])
    AND locks.pid IS DISTINCT FROM pg_backend_pid()
ORDER BY locks.granted DESC, locks.pid

-- name: running_transactions
-- Those of these transactions of others that have not ended, and whose they are.
SELECT
    running.transactionid::text::bigint,
    running.pid,
    activity.application_name,
    to_char(activity.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
FROM pg_locks AS running
LEFT JOIN pg_stat_activity AS activity ON activity.pid = running.pid
WHERE running.locktype = 'transactionid'
    AND running.granted
    AND running.transactionid::text::bigint = ANY(%(xids)s::bigint[])
    AND running.pid IS DISTINCT FROM pg_backend_pid()

-- name: transactions_on_table
-- The transactions of others that may have locked rows of a table, the oldest first.
SELECT
    running.transactionid::text::bigint,
    running.pid,
    activity.application_name,
    to_char(activity.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
FROM pg_locks AS running
LEFT JOIN pg_stat_activity AS activity ON activity.pid = running.pid
WHERE running.locktype = 'transactionid'
    AND running.granted
    AND running.pid IS DISTINCT FROM pg_backend_pid()
    AND running.virtualtransaction IN (
        SELECT virtualtransaction
        FROM pg_locks
        WHERE locktype = 'relation'
            AND relation = to_regclass(%(table)s)
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND mode IN ('RowShareLock', 'RowExclusiveLock')
    )
ORDER BY activity.xact_start NULLS FIRST
LIMIT 3
