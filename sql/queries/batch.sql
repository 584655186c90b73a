-- name: set_lock_timeout
SELECT set_config('lock_timeout', %(milliseconds)s::text || 'ms', true)
