-- What the tables are like, for the comparison with what orderd needs of them.

-- name: find_tables
-- Where each name leads to by search_path, whose table that is, and what it has.
SELECT
    ours.name,
    namespace.nspname,
    pg_get_userbyid(relation.relowner),
    relation.relkind IN ('r', 'p'),
    ARRAY(
        SELECT attname::text
        FROM pg_attribute
        WHERE attrelid = relation.oid AND attnum > 0 AND NOT attisdropped
        ORDER BY attnum
    ),
    namespace.nspname = current_schema(),
    current_setting('search_path')
FROM unnest(%(tables)s::text[]) AS ours (name)
JOIN pg_class AS relation ON relation.oid = to_regclass(ours.name)
JOIN pg_namespace AS namespace ON namespace.oid = relation.relnamespace

-- name: describe_columns
-- Each column with its type, domains replaced by what they are made of. pg_get_expr would wait for
-- whoever has locked the table: that a default is now(), or CURRENT_TIMESTAMP, is told by its tree.
WITH RECURSIVE typed AS (
    SELECT
        ours.name AS table_name, column_.attrelid, column_.attnum, column_.atttypid AS type_id,
        column_.atttypmod AS modifier
    FROM unnest(%(tables)s::text[]) AS ours (name)
    JOIN pg_attribute AS column_ ON column_.attrelid = to_regclass(ours.name)
    WHERE column_.attnum > 0 AND NOT column_.attisdropped
    UNION ALL
    SELECT typed.table_name, attrelid, attnum, typbasetype, typtypmod
    FROM typed
    JOIN pg_type ON pg_type.oid = typed.type_id AND pg_type.typtype = 'd'
)
SELECT
    typed.table_name,
    column_.attname,
    format_type(typed.type_id, typed.modifier),
    column_.attnotnull,
    CASE
        WHEN default_.adbin::text LIKE '{FUNCEXPR :funcid ' || 'now()'::regprocedure::oid || ' %%'
            OR default_.adbin::text LIKE '{SQLVALUEFUNCTION :op 3 %%' THEN 'now'
        WHEN default_.adbin IS NOT NULL THEN 'any'
        ELSE 'none'
    END,
    column_.attidentity = 'a' OR column_.attgenerated <> '',
    column_.attidentity <> ''
FROM typed
JOIN pg_type ON pg_type.oid = typed.type_id AND pg_type.typtype <> 'd'
JOIN pg_attribute AS column_ USING (attrelid, attnum)
LEFT JOIN pg_attrdef AS default_ ON default_.adrelid = attrelid AND default_.adnum = attnum
ORDER BY typed.table_name, attnum

-- name: missing_keys
-- An index on an expression, as lower(email), keeps apart even more.
SELECT key.table_name, key.column_name
FROM unnest(%(tables)s::text[], %(columns)s::text[]) AS key (table_name, column_name)
WHERE NOT EXISTS (
        SELECT
        FROM pg_index
        JOIN pg_attribute ON attrelid = indrelid AND attname = key.column_name
        WHERE indrelid = to_regclass(key.table_name)
            AND indisunique AND indisvalid AND indpred IS NULL AND indnkeyatts = 1
            AND (
                indkey[0] = attnum
                OR EXISTS (
                    SELECT
                    FROM pg_depend
                    WHERE classid = 'pg_class'::regclass AND objid = indexrelid
                        AND refclassid = 'pg_class'::regclass AND refobjid = indrelid
                        AND refobjsubid = attnum
                )
            )
    )

-- name: missing_references
SELECT key.table_name, key.column_name, key.other_name
FROM unnest(%(tables)s::text[], %(columns)s::text[], %(others)s::text[])
    AS key (table_name, column_name, other_name)
WHERE NOT EXISTS (
        SELECT
        FROM pg_constraint
        JOIN pg_attribute ON attrelid = conrelid AND attname = key.column_name
        WHERE contype = 'f'
            AND conrelid = to_regclass(key.table_name)
            AND confrelid = to_regclass(key.other_name)
            AND conkey = ARRAY[attnum]
    )

-- name: missing_checks
-- What a constraint says is not compared, only what it is about: to have it in words would wait for
-- whoever has locked the table. The limits of what can be told are another matter.
SELECT key.table_name, key.column_name
FROM unnest(%(tables)s::text[], %(columns)s::text[]) AS key (table_name, column_name)
WHERE NOT EXISTS (
        SELECT
        FROM pg_constraint
        JOIN pg_attribute ON attrelid = conrelid AND attname = key.column_name
        WHERE contype = 'c'
            AND conrelid = to_regclass(key.table_name)
            AND attnum = ANY(conkey)
            AND conname <> key.table_name || '_can_be_told'
    )

-- name: missing_limits
SELECT ours.name
FROM unnest(%(tables)s::text[]) AS ours (name)
WHERE NOT EXISTS (
        SELECT
        FROM pg_constraint
        WHERE contype = 'c'
            AND conrelid = to_regclass(ours.name)
            AND conname = ours.name || '_can_be_told'
    )

-- name: sequences_of_ids
SELECT ours.name, pg_get_serial_sequence(ours.name, 'id')
FROM unnest(%(tables)s::text[]) AS ours (name)
WHERE to_regclass(ours.name) IS NOT NULL

-- name: unvalidated_constraints
SELECT ours.name
FROM unnest(%(tables)s::text[]) AS ours (name)
JOIN pg_constraint
    ON conrelid = to_regclass(ours.name)
    AND conname = ours.name || '_can_be_told'
    AND NOT convalidated

-- name: columns_of_unique
-- What a unique index of a table is about: columns of its key, of its expressions and its predicate.
SELECT DISTINCT attname::text
FROM pg_class AS index_
JOIN pg_index ON indexrelid = index_.oid AND indisunique AND indrelid = to_regclass(%(table)s)
LEFT JOIN pg_constraint ON conindid = index_.oid AND conrelid = indrelid
JOIN pg_depend ON refclassid = 'pg_class'::regclass AND refobjid = indrelid
    AND (
        (classid = 'pg_class'::regclass AND objid = index_.oid)
        OR (classid = 'pg_constraint'::regclass AND objid = pg_constraint.oid)
    )
JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid
WHERE index_.relname = %(name)s
