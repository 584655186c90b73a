-- Which queues are paused, by an operator or because their commands failed one after the other; and
-- which daemons there are, for people to look at. A daemon of a version before this migration runs
-- beside this one, but obeys no pause and is not listed.

CREATE TABLE queue_pauses (
    queue text PRIMARY KEY,
    reason text NOT NULL,
    paused_by text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    ends_at timestamptz,
    -- The action that tripped the switch, null for a pause by hand; and when it was last tried.
    tripped_by text,
    tried_at timestamptz NOT NULL DEFAULT now(),
    is_announced boolean NOT NULL DEFAULT false
);

CREATE TABLE daemons (
    id uuid PRIMARY KEY,
    instance text NOT NULL,
    host text NOT NULL,
    pid bigint NOT NULL,
    version text NOT NULL,
    state text NOT NULL,
    since timestamptz NOT NULL,
    paused_queues text NOT NULL,
    messages_per_s double precision NOT NULL,
    in_hand bigint NOT NULL,
    last_commit_at timestamptz,
    seen_at timestamptz NOT NULL DEFAULT now()
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
            'GRANT %s ON queue_pauses, daemons TO %s',
            CASE WHEN held.may_write THEN 'SELECT, INSERT, UPDATE, DELETE' ELSE 'SELECT' END,
            held.holder
        );
    END LOOP;
END
$$;
