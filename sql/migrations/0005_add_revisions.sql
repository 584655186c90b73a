-- Each change of a row that a client can see raises its revision. Rows that were there before begin
-- at 1. Defaults that are constants rewrite no row, so the tables are locked for a moment only. Daemons
-- of 0.1.0 go on working on these tables, but raise no revision.

ALTER TABLE users
    ADD COLUMN revision bigint NOT NULL DEFAULT 1;

ALTER TABLE products
    ADD COLUMN revision bigint NOT NULL DEFAULT 1;

ALTER TABLE orders
    ADD COLUMN revision bigint NOT NULL DEFAULT 1;
