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

-- name: written_users
-- What the tables hold of it, before COMMIT: a text a table, of fields and rows with the separators
-- that ASCII has for that, by id. A field that may be null is the last one, and then left out.
SELECT 'users', string_agg(concat_ws(
    E'\x1f', id, is_active, revision, created_at = now(), updated_at = now(), username, email,
    full_name
), E'\x1e' ORDER BY id)
FROM users
WHERE id = ANY(%(ids)s::bigint[])

-- name: written_products
SELECT 'products', string_agg(concat_ws(
    E'\x1f', id, price, stock_quantity, revision, created_at = now(), updated_at = now(), name
), E'\x1e' ORDER BY id)
FROM products
WHERE id = ANY(%(ids)s::bigint[])

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

-- name: written_processed_requests
SELECT 'processed_requests', string_agg(concat_ws(
    E'\x1f', id, queue, action, outcome, fingerprint, code
), E'\x1e' ORDER BY id COLLATE "C")
FROM processed_requests
WHERE id = ANY(%(ids)s::text[])

-- name: written_outbox
SELECT 'outbox', string_agg(concat_ws(
    E'\x1f', id, message_id, type, length(body)
), E'\x1e' ORDER BY id)
FROM outbox
WHERE id = ANY(%(ids)s::bigint[])

-- name: name_obstacles
-- What of others acts on the rows of a table.
SELECT 'trigger ' || tgname
FROM pg_trigger
WHERE tgrelid = to_regclass(%(table)s) AND NOT tgisinternal AND tgenabled <> 'D'
UNION ALL
SELECT 'rule ' || rulename
FROM pg_rewrite
WHERE ev_class = to_regclass(%(table)s) AND ev_enabled <> 'D' AND ev_type <> '1'
UNION ALL
SELECT 'row security'
FROM pg_class
WHERE oid = to_regclass(%(table)s) AND relrowsecurity
ORDER BY 1
