-- What orderctl shows of notifications, and what it changes.

-- name: list_notifications
SELECT
    event_id, type, channel, recipient, address, state, attempts, created_at, sent_at, error,
    digest_id::text
FROM notifications
WHERE (%(state)s::text IS NULL OR state = %(state)s)
    AND (%(type)s::text IS NULL OR type = %(type)s)
    AND (%(channel)s::text IS NULL OR channel = %(channel)s)
    AND (%(recipient)s::text IS NULL OR recipient = %(recipient)s)
ORDER BY created_at DESC, event_id, channel, recipient
LIMIT %(rows_max)s

-- name: read_notifications
SELECT
    event_id, type, channel, recipient, address, state, attempts, created_at, sent_at, error,
    digest_id::text
FROM notifications
WHERE event_id = ANY(%(ids)s::text[])
ORDER BY event_id, created_at, channel, recipient

-- name: find_told
-- The events of which nothing is left to send, with the states of their notifications.
SELECT event_id, string_agg(DISTINCT state, ', ' ORDER BY state)
FROM notifications
WHERE event_id = ANY(%(ids)s::text[])
GROUP BY event_id
HAVING bool_and(state IN ('sent', 'skipped', 'collected'))

-- name: reopen_digests
-- A digest that was refused goes again as a whole.
UPDATE notifications
SET state = 'collected', error = NULL
WHERE state = 'failed' AND digest_id IN (
    SELECT digest_id
    FROM notifications
    WHERE event_id = ANY(%(ids)s::text[]) AND state = 'failed' AND digest_id IS NOT NULL
)
RETURNING event_id

-- name: measure_notifications
-- Of the last so many seconds, and what waits for its digest.
SELECT
    count(*) FILTER (WHERE state = 'sent'),
    count(*) FILTER (WHERE state = 'failed'),
    count(*) FILTER (WHERE state IN ('sending', 'deferred')),
    count(*) FILTER (WHERE state = 'skipped'),
    (SELECT count(*) FROM notifications WHERE state = 'collected'),
    (array_agg(error ORDER BY created_at DESC) FILTER (WHERE state = 'failed'))[1]
FROM notifications
WHERE created_at > now() - make_interval(secs => %(seconds)s)

-- name: count_notifications_before
SELECT count(*)
FROM (
    SELECT
    FROM notifications AS old
    WHERE created_at < %(horizon)s
        AND state IN ('sent', 'failed', 'skipped')
        AND NOT EXISTS (
            SELECT
            FROM notifications AS unfinished
            WHERE unfinished.event_id = old.event_id
                AND unfinished.state IN ('sending', 'deferred', 'collected')
        )
    LIMIT %(rows_max)s
) AS finished

-- name: prune_notifications
-- From where the last slice ended, as prune_ledger. What is not finished, of any recipient of the
-- event, would be sent again to all of them without the record, and stays.
WITH slice AS MATERIALIZED (
    SELECT event_id, channel, recipient, created_at
    FROM notifications AS old
    WHERE created_at >= %(since)s::timestamptz AND created_at < %(horizon)s
        AND state IN ('sent', 'failed', 'skipped')
        AND NOT EXISTS (
            SELECT
            FROM notifications AS unfinished
            WHERE unfinished.event_id = old.event_id
                AND unfinished.state IN ('sending', 'deferred', 'collected')
        )
    ORDER BY created_at
    LIMIT %(rows_max)s
), pruned AS (
    DELETE FROM notifications
    WHERE (event_id, channel, recipient) IN (SELECT event_id, channel, recipient FROM slice)
    RETURNING 1
)
SELECT (SELECT count(*) FROM pruned), max(created_at)::text, min(event_id || channel || recipient)
FROM slice
