-- How commands were last authorized, so that no start takes protection away unless the file says so.
-- A daemon of a version before this migration runs beside this one; it neither reads nor writes it.

CREATE TABLE last_authorization (
    is_only_row boolean PRIMARY KEY DEFAULT true CHECK (is_only_row),
    mode text NOT NULL CHECK (mode IN ('none', 'tokens', 'jwt')),
    since timestamptz NOT NULL DEFAULT now()
);

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
            'GRANT %s ON last_authorization TO %s',
            CASE WHEN held.may_write THEN 'SELECT, INSERT, UPDATE' ELSE 'SELECT' END,
            held.holder
        );
    END LOOP;
END
$$;
