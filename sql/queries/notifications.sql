-- Notifications: on record before each sending, and after it.

-- name: read_recipient
SELECT email, is_active, username, full_name
FROM users
WHERE id = %(user_id)s

-- name: lock_notification
-- Nothing where there is none, and nothing where another session holds it: that one sends it.
SELECT state, error
FROM notifications
WHERE event_id = %(event_id)s AND channel = %(channel)s AND recipient = %(recipient)s
FOR UPDATE SKIP LOCKED

-- name: allow_sending
-- A sending takes half a minute at most, and the search for its server's address some time besides.
SELECT set_config('idle_in_transaction_session_timeout', '2min', true)

-- name: insert_notification
INSERT INTO notifications (event_id, channel, recipient, state, attempts, type, address, error, subject, body)
VALUES (
    %(event_id)s, %(channel)s, %(recipient)s, %(state)s, %(attempts)s, %(type)s, %(address)s,
    %(error)s, %(subject)s, %(body)s
)
ON CONFLICT DO NOTHING

-- name: try_notification
UPDATE notifications
SET state = 'sending', attempts = attempts + 1, address = %(address)s, error = NULL
WHERE event_id = %(event_id)s AND channel = %(channel)s AND recipient = %(recipient)s

-- name: note_notification
UPDATE notifications
SET
    state = %(state)s, error = %(error)s, attempts = attempts - %(unspent)s,
    sent_at = CASE %(state)s WHEN 'sent' THEN clock_timestamp() END
WHERE event_id = %(event_id)s AND channel = %(channel)s AND recipient = %(recipient)s

-- name: is_collecting
-- Whether one of the type went, or is waiting to go, within the time of a digest.
SELECT EXISTS (
    SELECT
    FROM notifications
    WHERE
        channel = %(channel)s AND type = %(type)s AND recipient = %(recipient)s
        AND event_id <> %(event_id)s
        AND (
            (state IN ('sending', 'sent') AND created_at > now() - make_interval(secs => %(digest_s)s))
            OR state = 'collected'
        )
)

-- name: find_given_id
-- The newest notification of a message without an id, by what such messages have in common.
SELECT event_id
FROM notifications
WHERE created_at > now() - interval '30 days' AND starts_with(event_id, %(prefix)s)
ORDER BY created_at DESC
LIMIT 1

-- name: due_digests
SELECT type, recipient
FROM notifications
WHERE channel = %(channel)s AND state = 'collected'
GROUP BY type, recipient
HAVING min(created_at) <= now() - make_interval(secs => %(digest_s)s) OR bool_or(digest_id IS NOT NULL)

-- name: open_digest
-- What a digest holds is decided before it is sent: sent again, it is the same one.
UPDATE notifications
SET digest_id = %(digest_id)s
WHERE
    channel = %(channel)s AND type = %(type)s AND recipient = %(recipient)s
    AND state = 'collected' AND digest_id IS NULL
    AND NOT EXISTS (
        SELECT
        FROM notifications AS opened
        WHERE
            opened.channel = %(channel)s AND opened.type = %(type)s
            AND opened.recipient = %(recipient)s
            AND opened.state = 'collected' AND opened.digest_id IS NOT NULL
    )

-- name: opened_digests
SELECT DISTINCT digest_id::text
FROM notifications
WHERE
    channel = %(channel)s AND type = %(type)s AND recipient = %(recipient)s
    AND state = 'collected' AND digest_id IS NOT NULL

-- name: lock_digest
-- For as long as the transaction lasts; another daemon that sends it holds it.
SELECT pg_try_advisory_xact_lock(hashtextextended('orderd digest ' || %(digest_id)s, 0))

-- name: read_digest
SELECT type, recipient, count(*) OVER (), created_at, subject, body
FROM notifications
WHERE digest_id = %(digest_id)s AND state = 'collected'
ORDER BY created_at, event_id
LIMIT %(limit)s

-- name: note_digest
UPDATE notifications
SET
    state = %(state)s, error = %(error)s, attempts = attempts + %(spent)s,
    sent_at = CASE %(state)s WHEN 'sent' THEN clock_timestamp() END,
    subject = CASE %(state)s WHEN 'sent' THEN NULL ELSE subject END,
    body = CASE %(state)s WHEN 'sent' THEN NULL ELSE body END
WHERE digest_id = %(digest_id)s AND state = 'collected'
