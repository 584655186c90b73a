-- Orders, with their items in the table order_items.

-- name: lock_orders
SELECT id, user_id, status, priority, total_amount, created_at, updated_at, revision
FROM orders
WHERE id = ANY(%(ids)s::bigint[])
ORDER BY id
FOR NO KEY UPDATE

-- name: lock_order_items
SELECT order_id, id, product_id, quantity, unit_price
FROM order_items
WHERE order_id = ANY(%(row_ids)s::bigint[])
ORDER BY order_id, id
FOR NO KEY UPDATE

-- name: read_orders
-- In one statement with their items: between two, somebody else might change both.
SELECT
    orders.id, user_id, status, priority, total_amount, created_at, updated_at, revision,
    item.ids, item.product_ids, item.quantities, item.unit_prices
FROM orders
CROSS JOIN LATERAL (
    SELECT array_agg(id), array_agg(product_id), array_agg(quantity), array_agg(unit_price)
    FROM (SELECT * FROM order_items WHERE order_id = orders.id ORDER BY id) AS sorted
) AS item (ids, product_ids, quantities, unit_prices)
WHERE orders.id = ANY(%(ids)s::bigint[])

-- name: list_orders
-- The page first, then its items: not those of every order that the filters let through.
SELECT page.*, item.ids, item.product_ids, item.quantities, item.unit_prices
FROM (
    SELECT id, user_id, status, priority, total_amount, created_at, updated_at, revision
    FROM orders
    WHERE id > %(after)s
        AND (%(status)s::text IS NULL OR status = %(status)s::text)
        AND (%(user_id)s::bigint IS NULL OR user_id = %(user_id)s::bigint)
    ORDER BY id
    LIMIT %(limit)s
) AS page
CROSS JOIN LATERAL (
    SELECT array_agg(id), array_agg(product_id), array_agg(quantity), array_agg(unit_price)
    FROM (SELECT * FROM order_items WHERE order_id = page.id ORDER BY id) AS sorted
) AS item (ids, product_ids, quantities, unit_prices)
ORDER BY page.id

-- name: count_orders
SELECT count(*)
FROM (
    SELECT
    FROM orders
    WHERE (%(status)s::text IS NULL OR status = %(status)s::text)
        AND (%(user_id)s::bigint IS NULL OR user_id = %(user_id)s::bigint)
    LIMIT %(rows_max)s
) AS counted

-- name: insert_orders
INSERT INTO orders (id, user_id, status, priority, total_amount, revision)
SELECT *
FROM unnest(
    %(id)s::bigint[],
    %(user_id)s::bigint[],
    string_to_array(%(status)s, E'\n'),
    string_to_array(%(priority)s, E'\n'),
    %(total_amount)s::numeric[],
    %(revision)s::bigint[]
)

-- name: insert_order_items
INSERT INTO order_items (id, order_id, product_id, quantity, unit_price)
SELECT *
FROM unnest(
    %(id)s::bigint[], %(order_id)s::bigint[], %(product_id)s::bigint[], %(quantity)s::bigint[],
    %(unit_price)s::numeric[]
)

-- name: update_orders
UPDATE orders
SET
    status = new.status,
    priority = new.priority,
    total_amount = new.total_amount,
    updated_at = now(),
    revision = new.revision
FROM unnest(
    %(id)s::bigint[],
    string_to_array(%(status)s, E'\n'),
    string_to_array(%(priority)s, E'\n'),
    %(total_amount)s::numeric[],
    %(revision)s::bigint[]
) AS new (id, status, priority, total_amount, revision)
WHERE orders.id = new.id

-- name: update_order_items
UPDATE order_items
SET quantity = new.quantity
FROM unnest(%(id)s::bigint[], %(quantity)s::bigint[]) AS new (id, quantity)
WHERE order_items.id = new.id

-- name: delete_order_items
DELETE FROM order_items
WHERE id = ANY(%(id)s::bigint[])

-- name: written_orders
SELECT 'orders', string_agg(concat_ws(
    E'\x1f', id, user_id, status, priority, total_amount, revision, created_at = now(),
    updated_at = now()
), E'\x1e' ORDER BY id)
FROM orders
WHERE id = ANY(%(ids)s::bigint[])

-- name: written_order_items
SELECT 'order_items', string_agg(concat_ws(
    E'\x1f', id, order_id, product_id, quantity, unit_price
), E'\x1e' ORDER BY id)
FROM order_items
WHERE order_id = ANY(%(ids)s::bigint[])

-- name: locked_orders
SELECT id, xmax::text::bigint
FROM orders
WHERE ctid = %(tid)s::tid

-- name: locked_order_items
SELECT id, xmax::text::bigint
FROM order_items
WHERE ctid = %(tid)s::tid

-- name: free_id_of_orders
WITH RECURSIVE step AS (
    SELECT %(drawn)s::bigint AS id, 1000::bigint AS span
    UNION ALL
    SELECT (SELECT max(id) FROM orders WHERE id >= step.id AND id < step.id + step.span) + 1, span * 2
    FROM step
    WHERE id IS NOT NULL AND span < 1000000000
)
SELECT max(id) FROM step

-- name: free_id_of_order_items
WITH RECURSIVE step AS (
    SELECT %(drawn)s::bigint AS id, 1000::bigint AS span
    UNION ALL
    SELECT
        (SELECT max(id) FROM order_items WHERE id >= step.id AND id < step.id + step.span) + 1,
        span * 2
    FROM step
    WHERE id IS NOT NULL AND span < 1000000000
)
SELECT max(id) FROM step

-- name: validate_orders
ALTER TABLE orders VALIDATE CONSTRAINT orders_can_be_told

-- name: validate_order_items
ALTER TABLE order_items VALIDATE CONSTRAINT order_items_can_be_told

-- name: untellable_orders
SELECT id
FROM orders
WHERE NOT (
        total_amount <> 'NaN'
        AND created_at >= '0001-01-01 00:00:00+00' AND created_at < '10000-01-01 00:00:00+00'
        AND updated_at >= '0001-01-01 00:00:00+00' AND updated_at < '10000-01-01 00:00:00+00'
    )
ORDER BY id
LIMIT %(rows_max)s

-- name: untellable_order_items
SELECT id
FROM order_items
WHERE NOT (
        unit_price <> 'NaN'
    )
ORDER BY id
LIMIT %(rows_max)s
