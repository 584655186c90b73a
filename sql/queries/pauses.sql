-- Paused queues. A pause that has ended stays until a daemon has announced its end.

-- name: read_pauses
SELECT
    queue, reason, paused_by, since, ends_at, tripped_by, is_announced,
    coalesce(ends_at <= now(), false) AS has_ended,
    tripped_by IS NOT NULL AND tried_at <= now() - make_interval(secs => %(trial_every_s)s) AS is_trial_due
FROM queue_pauses
WHERE queue = ANY(%(queues)s)
ORDER BY queue

-- name: claim_announcements
UPDATE queue_pauses
SET is_announced = true
WHERE NOT is_announced AND coalesce(ends_at > now(), true) AND queue = ANY(%(queues)s)
RETURNING queue

-- name: delete_ended_pauses
DELETE FROM queue_pauses
WHERE ends_at <= now() AND queue = ANY(%(queues)s)
RETURNING queue

-- name: claim_trial
-- Of several daemons one makes the trial.
UPDATE queue_pauses
SET tried_at = now()
WHERE
    queue = %(queue)s
    AND tripped_by IS NOT NULL
    AND tried_at <= now() - make_interval(secs => %(trial_every_s)s)
    AND coalesce(ends_at > now(), true)
RETURNING queue

-- name: trip_queue
-- A pause that is in force stays as it is.
INSERT INTO queue_pauses (queue, reason, paused_by, tripped_by)
VALUES (%(queue)s, %(reason)s, %(paused_by)s, %(action)s)
ON CONFLICT (queue) DO UPDATE
SET
    reason = excluded.reason, paused_by = excluded.paused_by, tripped_by = excluded.tripped_by,
    since = now(), ends_at = NULL, tried_at = now(), is_announced = false
WHERE queue_pauses.ends_at <= now()

-- name: resume_tripped
UPDATE queue_pauses
SET ends_at = now()
WHERE queue = %(queue)s AND tripped_by = %(action)s

-- name: pause_queue
-- One that tripped is paused by hand from now on: it is not tried any more.
INSERT INTO queue_pauses (queue, reason, paused_by, ends_at)
VALUES (
    %(queue)s, %(reason)s, %(paused_by)s,
    coalesce(%(until)s::timestamptz, now() + make_interval(secs => %(seconds)s))
)
ON CONFLICT (queue) DO UPDATE
SET
    reason = excluded.reason, paused_by = excluded.paused_by, ends_at = excluded.ends_at,
    tripped_by = NULL, is_announced = false,
    since = CASE WHEN queue_pauses.ends_at <= now() THEN now() ELSE queue_pauses.since END
RETURNING since, ends_at, coalesce(ends_at <= now(), false)

-- name: resume_queue
UPDATE queue_pauses
SET ends_at = now()
WHERE queue = %(queue)s AND coalesce(ends_at > now(), true)
RETURNING reason, since

-- name: list_pauses
SELECT queue, reason, paused_by, since, ends_at
FROM queue_pauses
WHERE coalesce(ends_at > now(), true)
ORDER BY queue
