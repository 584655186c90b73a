-- An event that the broker refuses is sent again later and later; one that AMQP cannot carry is set
-- aside: not_before is infinity. Each says why. Defaults that are constants rewrite no row.

ALTER TABLE outbox
    ADD COLUMN refusals integer NOT NULL DEFAULT 0,
    ADD COLUMN not_before timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN refused_because text;
