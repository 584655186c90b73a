-- One order, the way of one message in a transaction of its own: what orderd does for a batch.
-- Ledger and event have the size that orderd writes. Nothing is published and nothing deleted.
\set user_id random(1, 1000)
\set first random(1, 500)
\set second random(501, 1000)
BEGIN;
INSERT INTO processed_requests (id, queue, action, outcome, code, response, fingerprint)
VALUES (gen_random_uuid()::text, 'order', 'create', 'applied', NULL, :response, :fingerprint);
SELECT id, username, email, full_name, is_active, created_at, updated_at
FROM users
WHERE id = :user_id
FOR KEY SHARE;
SELECT id, name, price, stock_quantity, created_at, updated_at
FROM products
WHERE id IN (:first, :second)
ORDER BY id
FOR NO KEY UPDATE;
UPDATE products
SET stock_quantity = stock_quantity - new.quantity, updated_at = now()
FROM (VALUES (:first::bigint, 1), (:second::bigint, 2)) AS new (id, quantity)
WHERE products.id = new.id;
INSERT INTO orders (user_id, status, priority, total_amount)
VALUES (:user_id, 'pending', 'normal', 59.97)
RETURNING id AS order_id \gset
INSERT INTO order_items (order_id, product_id, quantity, unit_price)
VALUES (:order_id, :first, 1, 19.99), (:order_id, :second, 2, 19.99);
INSERT INTO outbox (message_id, type, body) VALUES (gen_random_uuid(), 'order.created', :event);
COMMIT;
