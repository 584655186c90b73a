-- Events between their commit and the broker's confirm.

-- name: insert_outbox
INSERT INTO outbox (id, message_id, type, body)
SELECT *
FROM unnest(
    %(id)s::bigint[],
    %(message_id)s::uuid[],
    string_to_array(%(type)s, E'\n'),
    string_to_array(%(body)s, E'\n')
)

-- name: bound_housekeeping
-- Whoever is in the way is tried again later: commands do not wait for it.
SELECT
    set_config('lock_timeout', '100ms', true),
    set_config('statement_timeout', '2s', true)

-- name: delete_outbox
-- By both ids: whoever empties the table may have the ids given once more.
DELETE FROM outbox
WHERE id IN (
    SELECT outbox.id
    FROM outbox
    JOIN unnest(%(ids)s::bigint[], %(message_ids)s::uuid[]) AS sent (id, message_id)
        USING (id, message_id)
    FOR UPDATE OF outbox SKIP LOCKED
)

-- name: find_undeleted
-- Those that were not deleted, and whether another session holds the row.
SELECT
    outbox.id,
    outbox.message_id::text,
    outbox.id NOT IN (
        SELECT id FROM outbox WHERE id = ANY(%(ids)s::bigint[]) FOR UPDATE SKIP LOCKED
    )
FROM outbox
JOIN unnest(%(ids)s::bigint[], %(message_ids)s::uuid[]) AS sent (id, message_id)
    USING (id, message_id)

-- name: keep_sent
-- Sent, but somebody's trigger, rule or foreign key protects the row: never to be sent again.
UPDATE outbox
SET refusals = refusals + 1, refused_because = %(reason)s, not_before = 'infinity'
WHERE id IN (
    SELECT outbox.id
    FROM outbox
    JOIN unnest(%(ids)s::bigint[], %(message_ids)s::uuid[]) AS sent (id, message_id)
        USING (id, message_id)
    WHERE not_before <> 'infinity'
    FOR UPDATE OF outbox SKIP LOCKED
)

-- name: bound_look
SELECT
    set_config('lock_timeout', '100ms', true),
    set_config('statement_timeout', '500ms', true)

-- name: find_left_behind
SELECT id, message_id::text
FROM outbox
WHERE id > %(after)s::bigint AND id <= %(upto)s::bigint
    AND claimed_at < now() - make_interval(secs => %(grace_s)s) AND not_before <= now()
ORDER BY id
LIMIT %(rows_max)s

-- name: claim_outbox
UPDATE outbox
SET claimed_at = now()
WHERE id IN (
    SELECT id
    FROM outbox
    WHERE id = ANY(%(ids)s::bigint[])
        AND claimed_at < now() - make_interval(secs => %(grace_s)s) AND not_before <= now()
    FOR UPDATE SKIP LOCKED
)
RETURNING id

-- name: read_claimed
SELECT id, message_id::text, type, body
FROM outbox
WHERE id = ANY(%(ids)s::bigint[])
ORDER BY id

-- name: count_outbox
SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)::float
FROM outbox

-- name: refuse_outbox
-- 5 s, 10 s, 20 s ... 10 min: sending an event again reaches all of its other listeners as well.
UPDATE outbox
SET
    refusals = refusals + 1,
    refused_because = %(reason)s,
    not_before = now() + least(make_interval(secs => 5 * 2 ^ least(refusals, 10)), '10 minutes')
WHERE id = ANY(%(ids)s::bigint[])
RETURNING extract(epoch FROM not_before - now())::float

-- name: set_aside_outbox
UPDATE outbox
SET refusals = refusals + 1, refused_because = %(reason)s, not_before = 'infinity'
WHERE id = ANY(%(ids)s::bigint[])
RETURNING 0::float
