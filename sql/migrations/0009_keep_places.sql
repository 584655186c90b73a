-- Commands that change one row take effect in the order in which they came: one that is deferred keeps
-- its place here, and later ones of that row wait behind it. A daemon of a version before this
-- migration runs beside this one, but does not wait.

CREATE TABLE deferrals (
    key text PRIMARY KEY,
    place bigint GENERATED ALWAYS AS IDENTITY,
    queue text NOT NULL,
    row_id bigint NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    ends_at timestamptz NOT NULL
);
CREATE INDEX deferrals_by_row ON deferrals (queue, row_id, place);

-- Who writes to the outbox is a daemon, and needs to write here; who reads it may read this as well.
DO $$
DECLARE
    held record;
BEGIN
    FOR held IN
        SELECT
            CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS holder,
            bool_or(privilege_type = 'INSERT') AS may_write
        FROM pg_class, aclexplode(relacl)
        WHERE oid = 'outbox'::regclass AND privilege_type IN ('SELECT', 'INSERT')
        GROUP BY grantee
    LOOP
        EXECUTE format(
            'GRANT %s ON deferrals TO %s',
            CASE WHEN held.may_write THEN 'SELECT, INSERT, UPDATE, DELETE' ELSE 'SELECT' END,
            held.holder
        );
    END LOOP;
END
$$;
