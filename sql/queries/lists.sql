-- Pages of rows by id, and how many there are in all, counted to a limit.

-- name: list_users
SELECT id, username, email, full_name, is_active, created_at, updated_at, revision
FROM users
WHERE id > %(after)s
ORDER BY id
LIMIT %(limit)s

-- name: count_users
SELECT count(*)
FROM (SELECT FROM users LIMIT %(rows_max)s) AS counted

-- name: list_products
SELECT id, name, price, stock_quantity, created_at, updated_at, revision
FROM products
WHERE id > %(after)s
    AND (%(in_stock)s::boolean IS NULL OR (stock_quantity > 0) = %(in_stock)s::boolean)
ORDER BY id
LIMIT %(limit)s

-- name: count_products
SELECT count(*)
FROM (
    SELECT
    FROM products
    WHERE %(in_stock)s::boolean IS NULL OR (stock_quantity > 0) = %(in_stock)s::boolean
    LIMIT %(rows_max)s
) AS counted

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
