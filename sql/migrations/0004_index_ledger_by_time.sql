-- Pruning deletes the oldest requests slice by slice, and each slice has to find them at once: a
-- block range index reads again whatever earlier slices have left behind.

CREATE INDEX processed_requests_age_idx ON processed_requests (created_at);

DROP INDEX processed_requests_created_at_idx;
