-- The daemons, as each tells of itself; nothing is decided by it.

-- name: no_sync
SELECT set_config('synchronous_commit', 'off', true)

-- name: write_daemon
INSERT INTO daemons (
    id, program, instance, host, pid, version, state, since, paused_queues, messages_per_s,
    in_hand, last_commit_at
)
VALUES (
    %(id)s, %(program)s, %(instance)s, %(host)s, %(pid)s, %(version)s, %(state)s,
    now() - make_interval(secs => %(state_s)s), %(paused_queues)s, %(messages_per_s)s, %(in_hand)s,
    now() - make_interval(secs => %(commit_age_s)s)
)
ON CONFLICT (id) DO UPDATE
SET
    state = excluded.state, since = excluded.since, paused_queues = excluded.paused_queues,
    messages_per_s = excluded.messages_per_s, in_hand = excluded.in_hand,
    last_commit_at = excluded.last_commit_at, seen_at = now()

-- name: forget_daemons
DELETE FROM daemons
WHERE seen_at < now() - interval '1 day'

-- name: list_daemons
SELECT
    program, instance, host, pid, version,
    CASE WHEN seen_at < now() - interval '1 minute' THEN 'gone' ELSE state END,
    since, paused_queues, messages_per_s, in_hand, last_commit_at, seen_at
FROM daemons
WHERE seen_at >= now() - interval '1 day'
ORDER BY program, instance, host, pid, since
