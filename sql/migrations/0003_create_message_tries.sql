-- Messages that were in hand when the daemon died: how often each has been tried since, and whether
-- a try got as far as its COMMIT. A row goes when its message is settled.

CREATE TABLE message_tries (
    key text PRIMARY KEY,
    queue text NOT NULL,
    tries integer NOT NULL,
    is_committed boolean NOT NULL DEFAULT false,
    tried_at timestamptz NOT NULL DEFAULT now()
);
