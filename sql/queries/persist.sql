-- What a batch writes: its net result, one statement a table.

-- name: insert_processed_requests
INSERT INTO processed_requests (id, queue, action, outcome, code, actor, response, fingerprint)
SELECT *
FROM unnest(
    %(id)s::text[],
    string_to_array(%(queue)s, E'\n'),
    string_to_array(%(action)s, E'\n'),
    string_to_array(%(outcome)s, E'\n'),
    string_to_array(%(code)s, E'\n', ''),
    string_to_array(%(actor)s, E'\n', ''),
    string_to_array(%(response)s, E'\n')::jsonb[],
    string_to_array(%(fingerprint)s, E'\n')
)

-- name: written_processed_requests
SELECT 'processed_requests', string_agg(concat_ws(
    E'\x1f', id, queue, action, outcome, fingerprint, coalesce(actor, ''), code
), E'\x1e' ORDER BY id COLLATE "C")
FROM processed_requests
WHERE id = ANY(%(ids)s::text[])

-- name: written_outbox
SELECT 'outbox', string_agg(concat_ws(
    E'\x1f', id, message_id, type, length(body)
), E'\x1e' ORDER BY id)
FROM outbox
WHERE id = ANY(%(ids)s::bigint[])

-- name: look_at_tables
-- Whether nothing of others can act on what is written to these tables, and a text that changes with
-- their columns. The locks of a transaction that has written to a table keep that as it is until COMMIT.
SELECT
    bool_and(
        relkind = 'r' AND NOT (relhassubclass OR relhasrules OR relrowsecurity)
        AND NOT EXISTS (
            SELECT
            FROM pg_trigger
            WHERE tgrelid = relation.oid AND NOT tgisinternal AND tgenabled <> 'D'
        )
    ),
    string_agg(relation.oid || ':' || columns.versions, ' ' ORDER BY relation.oid)
FROM unnest(%(tables)s::text[]) AS ours (name)
JOIN pg_class AS relation ON relation.oid = to_regclass(ours.name)
CROSS JOIN LATERAL (
    SELECT string_agg(xmin::text, ',' ORDER BY attnum) AS versions
    FROM pg_attribute
    WHERE attrelid = relation.oid AND attnum > 0
) AS columns

-- name: name_obstacles
-- What of others acts on the rows of a table.
SELECT 'trigger ' || tgname
FROM pg_trigger
WHERE tgrelid = to_regclass(%(table)s) AND NOT tgisinternal AND tgenabled <> 'D'
UNION ALL
SELECT 'rule ' || rulename
FROM pg_rewrite
WHERE ev_class = to_regclass(%(table)s) AND ev_enabled <> 'D' AND ev_type <> '1'
UNION ALL
SELECT 'row security'
FROM pg_class
WHERE oid = to_regclass(%(table)s) AND relrowsecurity
ORDER BY 1
