-- How commands are authorized, as the daemons keep it on record.

-- name: remember_authorization
-- Unless the file says so, a record of protection stays, whoever else writes it at the same time.
INSERT INTO last_authorization (mode)
VALUES (%(mode)s)
ON CONFLICT (is_only_row) DO UPDATE
SET mode = excluded.mode, since = now()
WHERE
    last_authorization.mode <> excluded.mode
    AND (excluded.mode <> 'none' OR %(is_none_said)s)

-- name: last_authorization
SELECT (SELECT mode FROM last_authorization)

-- name: receipt_key
SELECT key FROM receipt_key
