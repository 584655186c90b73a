-- What a batch writes: its net result, one statement a table.

-- name: insert_users
INSERT INTO users (id, username, email, full_name, is_active, revision)
SELECT *
FROM unnest(
    %(id)s::bigint[], %(username)s::text[], %(email)s::text[], %(full_name)s::text[],
    %(is_active)s::boolean[], %(revision)s::bigint[]
)

-- name: update_users
UPDATE users
SET
    email = new.email,
    full_name = new.full_name,
    is_active = new.is_active,
    updated_at = now(),
    revision = new.revision
FROM unnest(
    %(id)s::bigint[], %(email)s::text[], %(full_name)s::text[], %(is_active)s::boolean[],
    %(revision)s::bigint[]
) AS new (id, email, full_name, is_active, revision)
WHERE users.id = new.id

-- name: insert_products
INSERT INTO products (id, name, price, stock_quantity, revision)
SELECT *
FROM unnest(
    %(id)s::bigint[], %(name)s::text[], %(price)s::numeric[], %(stock_quantity)s::bigint[],
    %(revision)s::bigint[]
)

-- name: update_products
UPDATE products
SET
    name = new.name,
    price = new.price,
    stock_quantity = new.stock_quantity,
    updated_at = now(),
    revision = new.revision
FROM unnest(
    %(id)s::bigint[], %(name)s::text[], %(price)s::numeric[], %(stock_quantity)s::bigint[],
    %(revision)s::bigint[]
) AS new (id, name, price, stock_quantity, revision)
WHERE products.id = new.id

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

-- name: insert_order_items
INSERT INTO order_items (id, order_id, product_id, quantity, unit_price)
SELECT *
FROM unnest(
    %(id)s::bigint[], %(order_id)s::bigint[], %(product_id)s::bigint[], %(quantity)s::bigint[],
    %(unit_price)s::numeric[]
)

-- name: update_order_items
UPDATE order_items
SET quantity = new.quantity
FROM unnest(%(id)s::bigint[], %(quantity)s::bigint[]) AS new (id, quantity)
WHERE order_items.id = new.id

-- name: delete_order_items
DELETE FROM order_items
WHERE id = ANY(%(id)s::bigint[])

-- name: insert_processed_requests
INSERT INTO processed_requests (id, queue, action, outcome, code, response, fingerprint)
SELECT *
FROM unnest(
    %(id)s::text[],
    string_to_array(%(queue)s, E'\n'),
    string_to_array(%(action)s, E'\n'),
    string_to_array(%(outcome)s, E'\n'),
    string_to_array(%(code)s, E'\n', ''),
    string_to_array(%(response)s, E'\n')::jsonb[],
    string_to_array(%(fingerprint)s, E'\n')
)
