-- Places of deferred commands in the line of the row that they change, and since when they wait for
-- somebody's lock. A command that changes no row that is there has no line, and is found by its key.

-- name: read_places
SELECT queue, row_id, key, since, waited_s
FROM (
    SELECT
        place, queue, row_id, key, since,
        extract(epoch FROM now() - waits_since)::float AS waited_s
    FROM deferrals
    WHERE ends_at > now()
        AND (queue, row_id) IN (
            SELECT * FROM unnest(string_to_array(%(queues)s, E'\n'), %(row_ids)s::bigint[])
        )
    UNION ALL
    SELECT place, queue, row_id, key, since, extract(epoch FROM now() - waits_since)::float
    FROM deferrals
    WHERE ends_at > now() AND key = ANY(%(keys)s::text[]) AND row_id IS NULL
) AS places
ORDER BY place

-- name: keep_places
-- Who has a place keeps it, for as long again; who still waits for a lock has waited since then.
INSERT INTO deferrals (key, queue, row_id, ends_at, waits_since, waits_for)
SELECT
    key, queue, row_id, now() + %(seconds)s * interval '1 second',
    CASE WHEN lock <> '' THEN now() END, nullif(lock, '')
FROM unnest(
    %(keys)s::text[], string_to_array(%(queues)s, E'\n'), %(row_ids)s::bigint[], %(locks)s::text[]
) WITH ORDINALITY AS kept (key, queue, row_id, lock, number)
ORDER BY number
ON CONFLICT (key) DO UPDATE
SET
    ends_at = excluded.ends_at,
    tried_at = now(),
    waits_for = excluded.waits_for,
    waits_since = CASE
        WHEN excluded.waits_for IS NOT NULL
        THEN coalesce(deferrals.waits_since, excluded.waits_since)
    END

-- name: renew_places
-- Their messages are copied, not tried: what they wait for, and since when, stays.
INSERT INTO deferrals (key, queue, row_id, ends_at)
SELECT key, queue, row_id, now() + %(seconds)s * interval '1 second'
FROM unnest(
    %(keys)s::text[], string_to_array(%(queues)s, E'\n'), %(row_ids)s::bigint[]
) WITH ORDINALITY AS kept (key, queue, row_id, number)
ORDER BY number
ON CONFLICT (key) DO UPDATE SET ends_at = excluded.ends_at

-- name: end_places
DELETE FROM deferrals
WHERE key = ANY(%(keys)s::text[]) OR ends_at < now()
