-- Products.

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

-- name: written_products
SELECT 'products', string_agg(concat_ws(
    E'\x1f', id, price, stock_quantity, revision, created_at = now(), updated_at = now(), name
), E'\x1e' ORDER BY id)
FROM products
WHERE id = ANY(%(ids)s::bigint[])

-- name: locked_products
SELECT id, xmax::text::bigint
FROM products
WHERE ctid = %(tid)s::tid

-- name: free_id_of_products
WITH RECURSIVE step AS (
    SELECT %(drawn)s::bigint AS id, 1000::bigint AS span
    UNION ALL
    SELECT
        (SELECT max(id) FROM products WHERE id >= step.id AND id < step.id + step.span) + 1,
        span * 2
    FROM step
    WHERE id IS NOT NULL AND span < 1000000000
)
SELECT max(id) FROM step

-- name: validate_products
ALTER TABLE products VALIDATE CONSTRAINT products_can_be_told

-- name: untellable_products
SELECT id
FROM products
WHERE NOT (
        price <> 'NaN'
        AND created_at >= '0001-01-01 00:00:00+00' AND created_at < '10000-01-01 00:00:00+00'
        AND updated_at >= '0001-01-01 00:00:00+00' AND updated_at < '10000-01-01 00:00:00+00'
    )
ORDER BY id
LIMIT %(rows_max)s
