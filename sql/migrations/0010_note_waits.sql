-- A command that waits for somebody's lock notes since when, and for whom. One that changes no row that
-- is there, such as the `create` of an order, has no line to stand in, and so no row_id. A daemon of a
-- version before this migration runs beside this one, but counts a wait as an attempt.

ALTER TABLE deferrals
    ALTER COLUMN row_id DROP NOT NULL,
    ADD COLUMN waits_since timestamptz,
    ADD COLUMN waits_for text,
    ADD COLUMN tried_at timestamptz NOT NULL DEFAULT now();
