-- Sequences that lag behind the rows of other programs. Each table has a query of its own: one for
-- all would need a lock on all of them.

-- name: draw_id
SELECT own.sequence::text, nextval(own.sequence), has_sequence_privilege(own.sequence, 'UPDATE')
FROM (SELECT pg_get_serial_sequence(%(table)s, 'id')::regclass OFFSET 0) AS own (sequence)

-- name: draw_ids
SELECT max(nextval(%(sequence)s::regclass))
FROM generate_series(1, %(count)s)

-- name: lock_sequence
-- The first number is arbitrary; whoever sets the same sequence forward takes the same two.
SELECT pg_advisory_xact_lock(7237128, hashtext(%(sequence)s))

-- name: set_sequence
-- Not where somebody else has moved it on meanwhile: ids must not be given twice.
SELECT setval(%(sequence)s::regclass, %(value)s)
WHERE nextval(%(sequence)s::regclass) < %(value)s

-- name: free_id_of_outbox
WITH RECURSIVE step AS (
    SELECT %(drawn)s::bigint AS id, 1000::bigint AS span
    UNION ALL
    SELECT
        (SELECT max(id) FROM outbox WHERE id >= step.id AND id < step.id + step.span) + 1,
        span * 2
    FROM step
    WHERE id IS NOT NULL AND span < 1000000000
)
SELECT max(id) FROM step
