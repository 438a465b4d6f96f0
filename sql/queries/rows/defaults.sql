-- Values that the rows of a request leave out: numbers for keys, defaults, stored values.

-- name: drawn
-- The next numbers of a sequence.
select nextval(%(sequence)s) from generate_series(1, %(count)s);

-- name: foreseen
-- Numbers that a sequence might return next, without advancing it.
select n.first + g
from (select coalesce(%(last)s, (select max({column}) from {table}), 0) as first) as n
cross join generate_series(1, %(count)s) as g;

-- name: is_behind
-- Whether the table has numbers already that its sequence has just returned.
select exists (select from {table} where {column} between %(least)s and %(greatest)s);

-- name: catch_up
-- Advance a sequence past all numbers in the table.
select setval(%(sequence)s, greatest((select max({column}) from {table}), nextval(%(sequence)s)));

-- fragment: next
-- The next number of an identity column.
nextval({sequence})

-- name: defaults
-- The default of a column as text, once for each row, and whether the judge accepts it.
select d.cell, coalesce({valid}, true)
from (select ({value})::text as cell from generate_series(1, %(count)s)) as d;

-- name: senders
-- The functions that return the columns of a table in binary form.
select a.attname, t.typsend::regproc::text
from pg_attribute as a
join pg_type as t on t.oid = a.atttypid
where a.attrelid = {table}::regclass and a.attnum > 0 and not a.attisdropped;

-- fragment: sent
-- A value in binary form.
{send}({value})

-- name: made
-- Defaults in binary form.
select {values};

-- name: found
-- Values of the row with a key, in binary form.
with given as materialized (select {key}::text[] as cells)
select {values} from {home} as t where {condition};
