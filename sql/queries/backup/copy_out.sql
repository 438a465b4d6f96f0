-- How the rows of a table are fetched: by ranges of its pages, each one message of columns.

-- name: keeping
-- Whether any value is kept outside its row; the first table of rows that have no place in a page.
{family}

select
    coalesce(bool_or(pg_relation_size(c.reltoastrelid) > 0), false),
    min(c.oid::regclass::text) filter (
        where c.relkind <> 'p' and (c.relkind <> 'r' or a.amname <> 'heap')
    )
from family as f
join pg_class as c on c.oid = f.id
left join pg_am as a on a.oid = c.relam;

-- fragment: ranges
-- Ranges of pages: their first places, and those behind them.
{family}

select
    ('(' || n || ',0)')::tid as first,
    ('(' || n + {pages} || ',0)')::tid as behind
from generate_series(
    0,
    (select max(pg_relation_size(id)) from family) / current_setting('block_size')::bigint - 1,
    {pages}
) as n

-- name: fetch
-- All rows of a table, in binary: a message for each range.
copy (
    select m.*
    from ({ranges}) as r
    cross join lateral (
        select count(*), {columns}
        from {table} as t
        where t.ctid >= r.first and t.ctid < r.behind
    ) as m
) to stdout (format binary);

-- name: fetch_wide
-- The same where rows may be of any size: a message for as many rows of a range as have some bytes.
copy (
    select m.*
    from ({ranges}) as r
    cross join lateral (
        select s.tableoid, array_agg(s.ctid) as places
        from (
            select
                t.tableoid, t.ctid,
                sum({size}) over (rows unbounded preceding) / {bytes} as part
            from {table} as t
            where t.ctid >= r.first and t.ctid < r.behind
        ) as s
        group by s.tableoid, s.part
    ) as s
    cross join lateral (
        select count(*), {columns}
        from {table} as t
        where t.tableoid = s.tableoid and t.ctid = any(s.places)
    ) as m
) to stdout (format binary);

-- fragment: values
-- The values of a column, one behind the other.
string_agg({value}, '')

-- fragment: sizes
-- Their sizes, -1 for NULL.
string_agg(int4send(coalesce(octet_length({value}), -1)), '')

-- fragment: size
-- The size of one.
coalesce(octet_length({value}), 0)

-- fragment: value
-- A value in its type's binary form.
{send}({value})

-- fragment: as_it_is
-- The column as it is.
{column}

-- fragment: as_text
-- Its text, where AVRO has no type for it or the binary form is the server's own affair.
{column}::text

-- fragment: label
-- The number of an enum's label, from 0.
(array_position({labels}::text[], {column}::text) - 1)

-- fragment: unscaled
-- A decimal without its point; the least integer stands for NaN, which cannot be one.
case when {column} = 'NaN' then '-9223372036854775808' else ({column} * {factor})::bigint end

-- fragment: elements
-- An array whose elements are fetched one by one; one of several dimensions is made to show.
case
    when {column} is null then null
    when array_ndims({column}) > 1 then array[array[{none}]]
    when array_lower({column}, 1) <> 1 then array_fill({none}, array[1], array[2])
    else array(
        select {element} from unnest({column}) with ordinality as e (value, n) order by e.n
    )
end
