-- How a column is fetched for a backup: as Postgres's binary form of these expressions.

-- name: fetch
-- All rows of a table, in binary.
copy (select {columns} from {table} as t) to stdout (format binary);

-- name: as_it_is
-- The type's own binary form.
{column}

-- name: as_text
-- Its text, where AVRO has no type for it or the binary form is the server's own affair.
{column}::text

-- name: label
-- The number of an enum's label, from 0.
(array_position({labels}::text[], {column}::text) - 1)

-- name: unscaled
-- A decimal without its point; the least integer stands for NaN, which cannot be one.
case when {column} = 'NaN' then '-9223372036854775808' else ({column} * {factor})::bigint end

-- name: elements
-- An array whose elements are fetched one by one; one of several dimensions is made to show.
case
    when {column} is null then null
    when array_ndims({column}) > 1 then array[array[{none}]]
    when array_lower({column}, 1) <> 1 then array_fill({none}, array[1], array[2])
    else array(
        select {element} from unnest({column}) with ordinality as e (value, n) order by e.n
    )
end
