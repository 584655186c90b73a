-- Who sent a command, and the key by which daemons know a copy of theirs again: the time at which its
-- message came counts for an expired token. A daemon of a version before this migration runs beside
-- this one; it writes no sender, and its copies are judged by the time at which they come back.

-- Without a default no row is rewritten.
ALTER TABLE processed_requests ADD COLUMN actor text;

CREATE TABLE receipt_key (
    is_only_row boolean PRIMARY KEY DEFAULT true CHECK (is_only_row),
    key bytea NOT NULL CHECK (length(key) >= 32)
);

-- 244 random bits.
INSERT INTO receipt_key (key)
SELECT sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));

-- Who writes to the outbox is a daemon, and needs to read it. Nobody else does: who knows the key can
-- keep an expired token in use.
DO $$
DECLARE
    held record;
BEGIN
    FOR held IN
        SELECT DISTINCT
            CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS holder
        FROM pg_class, aclexplode(relacl)
        WHERE oid = 'outbox'::regclass AND privilege_type = 'INSERT'
    LOOP
        EXECUTE format('GRANT SELECT ON receipt_key TO %s', held.holder);
    END LOOP;
END
$$;
