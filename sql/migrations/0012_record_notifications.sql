-- Notifications: what was sent to whom, over which channel, so that each goes once. A daemon of a
-- version before this migration runs beside this one; in the list of daemons it is one of orderd.

CREATE TABLE notifications (
    event_id text NOT NULL,
    channel text NOT NULL,
    -- user/ID, the address of an administrator, or what the channel itself stands for.
    recipient text NOT NULL,
    state text NOT NULL
        CHECK (state IN ('sending', 'sent', 'deferred', 'failed', 'skipped', 'collected')),
    attempts bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz,
    error text,
    type text NOT NULL,
    -- Where it was sent to last.
    address text NOT NULL,
    -- Of what is collected for a digest: the digest, once it is to be sent, and what it is to say.
    digest_id uuid,
    subject text,
    body text,
    PRIMARY KEY (event_id, channel, recipient)
);

CREATE INDEX notifications_created_at_idx ON notifications (created_at);
CREATE INDEX notifications_channel_idx ON notifications (channel, type, recipient, created_at);
CREATE INDEX notifications_collected_idx ON notifications (channel) WHERE state = 'collected';

ALTER TABLE daemons ADD COLUMN program text NOT NULL DEFAULT 'orderd';

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
            'GRANT %s ON notifications TO %s',
            CASE WHEN held.may_write THEN 'SELECT, INSERT, UPDATE, DELETE' ELSE 'SELECT' END,
            held.holder
        );
    END LOOP;
END
$$;
