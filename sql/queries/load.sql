-- What a batch reads. Rows that it may change are locked, in one order everywhere: orders by id,
-- their items by order and id, then products by id, then users by id.

-- name: open_batch
-- Each column's own sequence, whatever it is called: another one may have the usual name. Looked up
-- once, for rows that want ids.
SELECT
    now(),
    ARRAY(
        SELECT nextval((SELECT pg_get_serial_sequence('users', 'id')::regclass))
        FROM generate_series(1, %(users)s)
    ),
    ARRAY(
        SELECT nextval((SELECT pg_get_serial_sequence('products', 'id')::regclass))
        FROM generate_series(1, %(products)s)
    ),
    ARRAY(
        SELECT nextval((SELECT pg_get_serial_sequence('orders', 'id')::regclass))
        FROM generate_series(1, %(orders)s)
    ),
    ARRAY(
        SELECT nextval((SELECT pg_get_serial_sequence('order_items', 'id')::regclass))
        FROM generate_series(1, %(order_items)s)
    ),
    ARRAY(
        SELECT nextval((SELECT pg_get_serial_sequence('outbox', 'id')::regclass))
        FROM generate_series(1, %(outbox)s)
    ),
    (
        SELECT json_agg(json_build_array(id, fingerprint, response::text))
        FROM processed_requests
        WHERE id = ANY(%(request_ids)s::text[])
    ),
    EXISTS (SELECT FROM deferrals)

-- name: lock_orders
SELECT id, user_id, status, priority, total_amount, created_at, updated_at, revision
FROM orders
WHERE id = ANY(%(ids)s::bigint[])
ORDER BY id
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

-- name: lock_order_items
SELECT order_id, id, product_id, quantity, unit_price
FROM order_items
WHERE order_id = ANY(%(order_ids)s::bigint[])
ORDER BY order_id, id
FOR NO KEY UPDATE

-- name: lock_products
SELECT id, name, price, stock_quantity, created_at, updated_at, revision
FROM products
WHERE id = ANY(%(ids)s::bigint[])
ORDER BY id
FOR NO KEY UPDATE

-- name: read_products
SELECT id, name, price, stock_quantity, created_at, updated_at, revision
FROM products
WHERE id = ANY(%(ids)s::bigint[])

-- name: lock_users
SELECT id, username, email, full_name, is_active, created_at, updated_at, revision
FROM users
WHERE id = ANY(%(ids)s::bigint[])
ORDER BY id
FOR NO KEY UPDATE

-- name: refer_to_users
SELECT id, username, email, full_name, is_active, created_at, updated_at, revision
FROM users
WHERE id = ANY(%(ids)s::bigint[])
ORDER BY id
FOR KEY SHARE

-- name: read_users
SELECT id, username, email, full_name, is_active, created_at, updated_at, revision
FROM users
WHERE id = ANY(%(ids)s::bigint[])
    OR username = ANY(%(usernames)s::text[])
    OR email = ANY(%(emails)s::text[])
