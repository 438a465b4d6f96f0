-- Listings of rows (filtered, ordered, paged, sampled), single rows, and deletes.

-- name: page
-- Rows that pass the filters, each with its position in the order.
select {values}, {place} from {table} as t
where {conditions} {order} limit {limit};

-- fragment: as_json
-- A row as JSON written by Postgres, so that numbers keep all digits.
row_to_json(t)::text

-- fragment: as_text
-- A value of a row as text.
{column}::text

-- fragment: as_moment
-- A time as in JSON: ISO 8601 with a T.
to_json({column}) #>> '{{}}'

-- fragment: ordered
-- The ORDER BY clause.
order by {columns}

-- fragment: row
-- Several values as a row, which is compared from left to right.
({values})

-- fragment: place
-- The position of a row in the order.
array[{texts}]::text[]

-- name: sample
-- Random rows.
select {values} from {table} as t {source} where {conditions} order by random() limit {limit};

-- fragment: share
-- A part of a large table, expected to have four times as many rows as are wanted.
tablesample bernoulli (coalesce((
    select least(100, 100.0 * ({wanted} * 4 + 400) / nullif(greatest(c.reltuples, 0), 0))
    from pg_class as c where c.oid = {table}::regclass
), 100))

-- name: count
-- Number of rows that pass the filters.
select count(*) from {table} as t where {conditions};

-- name: unfit
-- Texts that are not values of a column, and why.
select {place} as place, {message} as message
from unnest({cells}::text[]) with ordinality as v (cell, n)
where not coalesce({valid}, false);

-- fragment: compared
-- A column compared with a value.
{column} {sign} {value}

-- fragment: among
-- A column has one of some values.
{column} in ({values})

-- fragment: begins
-- A text begins with another, byte for byte.
starts_with({column}::text collate "C", {value})

-- fragment: is_null
-- A column has no value.
{column} is null

-- fragment: is_given
-- A column has a value.
{column} is not null

-- fragment: beyond_or_null
-- After a value, if NULL comes after all values.
({column} {sign} {value} or {column} is null)

-- fragment: behind
-- The row is after a position: by this column, or equal in this one and after it by the next ones.
({beyond} or ({beside} and {rest}))

-- fragment: no_row
-- Nothing comes after NULL.
false

-- name: one
-- A row by its key, with the transaction that wrote it; a text that is not a value matches no row.
with given as materialized (select %(key)s::text[] as cells)
select t.xmin::text, {values} from {table} as t where {condition} {hold};

-- fragment: hold
-- Lock the row until the transaction ends.
for update of t

-- fragment: given
-- A column of the key equals the text given.
{column} = (select {value} from given as g)

-- name: delete
-- Delete rows.
delete from {table} as t where {condition};

-- name: kept
-- Rows to be deleted or changed, as temporary tables keep them: their number, and each row once.
select count(*), coalesce(jsonb_agg(d.fields), '[]')::text
from (
    select distinct on (k."rowboat home", k."rowboat place")
        to_jsonb(k) - '{{rowboat home,rowboat place}}'::text[] as fields
    from ({kept}) as k
    where {others}
) as d;

-- fragment: keeper
-- All rows of a temporary table.
select * from {kept}

-- fragment: not_among
-- The row is not among those.
not exists (
    select from ({kept}) as g
    where g."rowboat home" = k."rowboat home" and g."rowboat place" = k."rowboat place"
)

-- name: changed
-- Rows that a temporary table keeps, as they are now.
select coalesce(jsonb_agg(to_jsonb(t)), '[]')::text
from {table} as t where exists (select from ({kept}) as k where {same});
