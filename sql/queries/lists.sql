-- Pages of rows by id, and how many there are in all.

-- name: list_users
SELECT id, username, email, full_name, is_active, created_at, updated_at, revision
FROM users
WHERE id > %(after)s
ORDER BY id
LIMIT %(limit)s

-- name: count_users
SELECT count(*)
FROM users

-- name: list_products
SELECT id, name, price, stock_quantity, created_at, updated_at, revision
FROM products
WHERE id > %(after)s
    AND (%(in_stock)s::boolean IS NULL OR (stock_quantity > 0) = %(in_stock)s::boolean)
ORDER BY id
LIMIT %(limit)s

-- name: count_products
SELECT count(*)
FROM products
WHERE %(in_stock)s::boolean IS NULL OR (stock_quantity > 0) = %(in_stock)s::boolean

-- name: list_orders
SELECT id, user_id, status, priority, total_amount, created_at, updated_at, revision
FROM orders
WHERE id > %(after)s
    AND (%(status)s::text IS NULL OR status = %(status)s::text)
    AND (%(user_id)s::bigint IS NULL OR user_id = %(user_id)s::bigint)
ORDER BY id
LIMIT %(limit)s

-- name: count_orders
SELECT count(*)
FROM orders
WHERE (%(status)s::text IS NULL OR status = %(status)s::text)
    AND (%(user_id)s::bigint IS NULL OR user_id = %(user_id)s::bigint)
