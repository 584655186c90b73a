-- How a batch begins. What it reads of the tables of each entity stands in their own files. Rows that
-- it may change are locked, in one order everywhere: orders by id, their items by order and id, then
-- products by id, then users by id.

-- name: open_batch
-- Ids of rows to come, table by table in the order of %(tables)s. Each column's own sequence,
-- whatever it is called: another one may have the usual name. Looked up once, for tables that want
-- ids.
SELECT
    now(),
    ARRAY(
        SELECT nextval(wanted.sequence)
        FROM (
            SELECT pg_get_serial_sequence(name, 'id')::regclass AS sequence, count, number
            FROM unnest(%(tables)s::text[], %(counts)s::bigint[])
                WITH ORDINALITY AS listed (name, count, number)
            OFFSET 0
        ) AS wanted
        CROSS JOIN LATERAL generate_series(1, wanted.count)
        ORDER BY wanted.number
    ),
    (
        SELECT json_agg(json_build_array(id, fingerprint, response::text))
        FROM processed_requests
        WHERE id = ANY(%(request_ids)s::text[])
    ),
    EXISTS (SELECT FROM deferrals)
