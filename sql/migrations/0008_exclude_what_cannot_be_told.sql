-- Values that no reply can tell are kept out: times outside the years 1 to 9999, amounts that are not
-- a number. NOT VALID: rows that are there are not looked at, so the tables are locked for a moment only;
-- orderctl migrate validates each constraint afterwards, while others read and write. Daemons of
-- earlier versions go on working on these tables.

ALTER TABLE users
    ADD CONSTRAINT users_can_be_told CHECK (
        created_at >= '0001-01-01 00:00:00+00' AND created_at < '10000-01-01 00:00:00+00'
        AND updated_at >= '0001-01-01 00:00:00+00' AND updated_at < '10000-01-01 00:00:00+00'
    ) NOT VALID;

ALTER TABLE products
    ADD CONSTRAINT products_can_be_told CHECK (
        price <> 'NaN'
        AND created_at >= '0001-01-01 00:00:00+00' AND created_at < '10000-01-01 00:00:00+00'
        AND updated_at >= '0001-01-01 00:00:00+00' AND updated_at < '10000-01-01 00:00:00+00'
    ) NOT VALID;

ALTER TABLE orders
    ADD CONSTRAINT orders_can_be_told CHECK (
        total_amount <> 'NaN'
        AND created_at >= '0001-01-01 00:00:00+00' AND created_at < '10000-01-01 00:00:00+00'
        AND updated_at >= '0001-01-01 00:00:00+00' AND updated_at < '10000-01-01 00:00:00+00'
    ) NOT VALID;

ALTER TABLE order_items
    ADD CONSTRAINT order_items_can_be_told CHECK (unit_price <> 'NaN') NOT VALID;
