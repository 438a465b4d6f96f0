-- What the rows of a request leave out: numbers of a key, defaults, values that stay as they are.

-- name: drawn
-- The next numbers of a sequence.
select nextval(%(sequence)s) from generate_series(1, %(count)s);

-- name: foreseen
-- The numbers that might come next, while the sequence stays where it is.
select n.first + g
from (select coalesce(%(last)s, (select max({column}) from {table}), 0) as first) as n
cross join generate_series(1, %(count)s) as g;

-- name: is_behind
-- Whether the table has numbers that its sequence gives only now.
select exists (select from {table} where {column} between %(least)s and %(greatest)s);

-- name: catch_up
-- Move a sequence past all numbers that the table has.
select setval(%(sequence)s, greatest((select max({column}) from {table}), nextval(%(sequence)s)));

-- fragment: next
-- The next number of an identity column.
nextval({sequence})

-- name: defaults
-- What the database puts into a column of rows that do not bring it, and whether the judge takes it.
select d.cell, coalesce({valid}, true)
from (select ({value})::text as cell from generate_series(1, %(count)s)) as d;

-- name: senders
-- The functions that put the columns of a table into their binary form.
select a.attname, t.typsend::regproc::text
from pg_attribute as a
join pg_type as t on t.oid = a.atttypid
where a.attrelid = {table}::regclass and a.attnum > 0 and not a.attisdropped;

-- fragment: sent
-- A value in binary form.
{send}({value})

-- name: made
-- Values that the database makes.
select {values};

-- name: found
-- Values of the row with a key.
with given as materialized (select {key}::text[] as cells)
select {values} from {home} as t where {condition};
