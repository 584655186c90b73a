-- Places of deferred commands in the line of the row that they change.

-- name: read_places
SELECT queue, row_id, key, since
FROM deferrals
WHERE ends_at > now()
    AND (queue, row_id) IN (
        SELECT * FROM unnest(string_to_array(%(queues)s, E'\n'), %(row_ids)s::bigint[])
    )
ORDER BY place

-- name: keep_places
-- Who has a place keeps it, for as long again.
INSERT INTO deferrals (key, queue, row_id, ends_at)
SELECT key, queue, row_id, now() + %(seconds)s * interval '1 second'
FROM unnest(
    %(keys)s::text[], string_to_array(%(queues)s, E'\n'), %(row_ids)s::bigint[]
) WITH ORDINALITY AS kept (key, queue, row_id, number)
ORDER BY number
ON CONFLICT (key) DO UPDATE
SET ends_at = excluded.ends_at

-- name: end_places
DELETE FROM deferrals
WHERE key = ANY(%(keys)s::text[]) OR ends_at < now()
