-- Tries of redelivered messages, so that one that kills the daemon each time is found out.

-- name: read_tries
SELECT key, tries, is_committed
FROM message_tries
WHERE key = ANY(%(keys)s::text[])

-- name: record_tries
INSERT INTO message_tries (key, queue, tries)
SELECT *, 1
FROM unnest(%(keys)s::text[], string_to_array(%(queues)s, E'\n'))
ON CONFLICT (key) DO UPDATE
SET tries = message_tries.tries + 1, tried_at = now()

-- name: withdraw_tries
WITH nobodys AS (
    DELETE FROM message_tries
    WHERE key = ANY(%(keys)s::text[]) AND tries <= 1
)
UPDATE message_tries
SET tries = tries - 1
WHERE key = ANY(%(keys)s::text[]) AND tries > 1

-- name: mark_tries_committed
UPDATE message_tries
SET is_committed = true
WHERE key = ANY(%(keys)s::text[])

-- name: delete_tries
-- Rows whose message was acked by a daemon that then died are nobody's; they go with their age.
DELETE FROM message_tries
WHERE key = ANY(%(keys)s::text[]) OR tried_at < now() - interval '7 days'
