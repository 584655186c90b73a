-- What orderctl shows.

-- name: describe_server
SELECT current_database(), current_setting('server_version')

-- name: measure_ledger
-- A big ledger is estimated: to count its rows would take longer than anybody waits for a status.
SELECT
    CASE
        WHEN is_big THEN greatest(estimated_rows, 0)::bigint
        ELSE (SELECT count(*) FROM processed_requests)
    END,
    is_big
FROM (
    SELECT reltuples AS estimated_rows, pg_relation_size(oid) > 64 * 1024 * 1024 AS is_big
    FROM pg_class
    WHERE oid = to_regclass('processed_requests')
) AS ledger
