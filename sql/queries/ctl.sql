-- What orderctl shows.

-- name: describe_server
SELECT current_database(), current_setting('server_version')

-- name: measure_ledger
-- A big ledger is estimated: to count its rows would take longer than anybody waits for a status.
SELECT
    CASE
        WHEN is_big THEN greatest(estimated_rows, 0)::bigint
        ELSE (SELECT count(*) FROM processed_requests)
    END,
    is_big
FROM (
    SELECT reltuples AS estimated_rows, pg_relation_size(oid) > 64 * 1024 * 1024 AS is_big
    FROM pg_class
    WHERE oid = to_regclass('processed_requests')
) AS ledger

-- name: find_outcomes
SELECT id, outcome, code
FROM processed_requests
WHERE id = ANY(%(ids)s::text[])

-- name: read_ledger
SELECT queue, action, outcome, code, actor, created_at, response::text
FROM processed_requests
WHERE id = %(id)s

-- name: list_ledger
SELECT id, queue, action, outcome, code, actor, created_at
FROM processed_requests
WHERE created_at > now() - make_interval(secs => %(since_s)s)
    AND (%(outcome)s::text IS NULL OR outcome = %(outcome)s)
    AND (%(code)s::text IS NULL OR code = %(code)s)
ORDER BY created_at DESC, id
LIMIT %(rows_max)s

-- name: ledger_horizon
SELECT now() - make_interval(secs => %(age_s)s)

-- name: take_time_to_count
SELECT set_config('statement_timeout', '0', true)

-- name: count_ledger_before
SELECT count(*)
FROM (
    SELECT
    FROM processed_requests
    WHERE created_at < %(horizon)s
    LIMIT %(rows_max)s
) AS old

-- name: read_in_order
-- A bitmap of the index would be one of all rows to come, for each slice.
SELECT set_config('enable_bitmapscan', 'off', true)

-- name: prune_ledger
-- From where the last slice ended: what is deleted is in the index as long as any snapshot sees it.
WITH slice AS MATERIALIZED (
    SELECT id, created_at
    FROM processed_requests
    WHERE created_at >= %(since)s::timestamptz AND created_at < %(horizon)s
    ORDER BY created_at
    LIMIT %(rows_max)s
), pruned AS (
    DELETE FROM processed_requests
    WHERE id IN (SELECT id FROM slice)
    RETURNING 1
)
SELECT (SELECT count(*) FROM pruned), max(created_at)::text, min(id)
FROM slice

-- name: find_events
-- The text is written by orderd itself, so it need not be parsed to find a request in it: by its
-- correlation id, by the id in a refusal, or as told by the transaction that wrote the ledger.
SELECT
    id,
    message_id::text,
    type,
    body,
    created_at,
    nullif(claimed_at, '-infinity'),
    extract(epoch FROM now() - created_at)::float,
    refusals,
    CASE WHEN isfinite(not_before) THEN not_before END,
    not_before = 'infinity',
    refused_because
FROM outbox
WHERE strpos(body, %(correlation)s) > 0
    OR strpos(body, %(refusal)s) > 0
    OR (created_at = %(settled_at)s AND strpos(body, %(subject)s) > 0)
ORDER BY id
LIMIT %(rows_max)s

-- name: list_outbox
SELECT
    id,
    message_id::text,
    type,
    body,
    created_at,
    nullif(claimed_at, '-infinity'),
    extract(epoch FROM now() - created_at)::float,
    refusals,
    CASE WHEN isfinite(not_before) THEN not_before END,
    not_before = 'infinity',
    refused_because
FROM outbox
ORDER BY id
LIMIT %(rows_max)s

-- name: release_outbox
-- The lease is over, and no refusal counts, so the daemon's next sweep takes the rows.
UPDATE outbox
SET claimed_at = '-infinity', refusals = 0, not_before = '-infinity', refused_because = NULL
WHERE %(is_all)s OR id = ANY(%(ids)s::bigint[])
RETURNING id

-- name: measure_refused_outbox
-- How many were refused, when the next of them is tried, how many are set aside, and why the last.
SELECT
    count(*) FILTER (WHERE isfinite(not_before)),
    coalesce(extract(epoch FROM min(not_before) FILTER (WHERE isfinite(not_before)) - now()), 0)::float,
    count(*) FILTER (WHERE not_before = 'infinity'),
    (array_agg(refused_because ORDER BY id DESC))[1]
FROM outbox
WHERE refusals > 0

-- name: measure_waits
-- How many commands wait for somebody's lock, for how long, and for whom the first of them does; of
-- those that were tried not long ago: what was purged meanwhile waits for nobody.
SELECT
    count(*),
    coalesce(extract(epoch FROM now() - min(waits_since)), 0)::float,
    (array_agg(waits_for ORDER BY waits_since, place))[1]
FROM deferrals
WHERE waits_since IS NOT NULL AND tried_at > now() - %(seconds)s * interval '1 second'

-- name: find_place
SELECT queue, row_id, since, ends_at, waits_since, waits_for, (
    SELECT count(*)
    FROM deferrals AS earlier
    WHERE (earlier.queue, earlier.row_id) = (own.queue, own.row_id)
        AND earlier.place < own.place AND earlier.ends_at > now()
)
FROM deferrals AS own
WHERE key = '=' || %(id)s
