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

-- name: delete_outbox
DELETE FROM outbox
USING unnest(%(ids)s::bigint[], %(message_ids)s::uuid[]) AS sent (id, message_id)
WHERE outbox.id = sent.id AND outbox.message_id = sent.message_id

-- name: claim_outbox
UPDATE outbox
SET claimed_at = now()
WHERE id IN (
    SELECT id
    FROM outbox
    WHERE claimed_at < now() - make_interval(secs => %(grace_s)s) AND not_before <= now()
    ORDER BY id
    LIMIT %(rows_max)s
    FOR UPDATE SKIP LOCKED
)
RETURNING id, message_id::text, type, body

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
WHERE id = %(id)s::bigint
