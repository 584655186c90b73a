-- Users. Rows that a batch may change are locked by id; see load.sql.

-- name: lock_users
SELECT id, username, email, full_name, is_active, created_at, updated_at, revision
FROM users
WHERE id = ANY(%(ids)s::bigint[])
ORDER BY id
FOR NO KEY UPDATE

-- name: refer_to_users
SELECT id, username, email, full_name, is_active, created_at, updated_at, revision
FROM users
WHERE id = ANY(%(ids)s::bigint[])
ORDER BY id
FOR KEY SHARE

-- name: read_users
SELECT id, username, email, full_name, is_active, created_at, updated_at, revision
FROM users
WHERE id = ANY(%(ids)s::bigint[])
    OR username = ANY(%(usernames)s::text[])
    OR email = ANY(%(emails)s::text[])

-- name: list_users
SELECT id, username, email, full_name, is_active, created_at, updated_at, revision
FROM users
WHERE id > %(after)s
ORDER BY id
LIMIT %(limit)s

-- name: count_users
SELECT count(*)
FROM (SELECT FROM users LIMIT %(rows_max)s) AS counted

-- name: insert_users
INSERT INTO users (id, username, email, full_name, is_active, revision)
SELECT *
FROM unnest(
    %(id)s::bigint[], %(username)s::text[], %(email)s::text[], %(full_name)s::text[],
    %(is_active)s::boolean[], %(revision)s::bigint[]
)

-- name: update_users
UPDATE users
SET
    email = new.email,
    full_name = new.full_name,
    is_active = new.is_active,
    updated_at = now(),
    revision = new.revision
FROM unnest(
    %(id)s::bigint[], %(email)s::text[], %(full_name)s::text[], %(is_active)s::boolean[],
    %(revision)s::bigint[]
) AS new (id, email, full_name, is_active, revision)
WHERE users.id = new.id

-- name: written_users
-- What the tables hold of it, before COMMIT: a text a table, of fields and rows with the separators
-- that ASCII has for that, by id. A field that may be null is the last one, and then left out.
SELECT 'users', string_agg(concat_ws(
    E'\x1f', id, is_active, revision, created_at = now(), updated_at = now(), username, email,
    full_name
), E'\x1e' ORDER BY id)
FROM users
WHERE id = ANY(%(ids)s::bigint[])

-- name: locked_users
-- Which row is at a place, and who has locked it: a transaction, or several of them by a number of
-- another kind.
SELECT id, xmax::text::bigint
FROM users
WHERE ctid = %(tid)s::tid

-- name: free_id_of_users
-- The first id from %(drawn)s on that has no row near above it: each step goes past the highest id
-- in twice the range of the step before. Rows far above are in nobody's way.
WITH RECURSIVE step AS (
    SELECT %(drawn)s::bigint AS id, 1000::bigint AS span
    UNION ALL
    SELECT (SELECT max(id) FROM users WHERE id >= step.id AND id < step.id + step.span) + 1, span * 2
    FROM step
    WHERE id IS NOT NULL AND span < 1000000000
)
SELECT max(id) FROM step

-- name: validate_users
ALTER TABLE users VALIDATE CONSTRAINT users_can_be_told

-- name: untellable_users
SELECT id
FROM users
WHERE NOT (
        created_at >= '0001-01-01 00:00:00+00' AND created_at < '10000-01-01 00:00:00+00'
        AND updated_at >= '0001-01-01 00:00:00+00' AND updated_at < '10000-01-01 00:00:00+00'
    )
ORDER BY id
LIMIT %(rows_max)s
