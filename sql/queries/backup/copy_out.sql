-- Fetching the rows of a table by ranges of pages: one message with all columns for each range.

-- name: keeping
-- Whether any value is stored outside its row (TOAST); a table whose rows are not in heap pages.
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
-- Ranges of pages: the first ctid of each, and of the next.
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
-- Fetch all rows of a table in binary format, a message for each range.
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
-- Fetch all rows of a table if some are large, with messages of limited size.
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
-- The values of a column, concatenated.
string_agg({value}, '')

-- fragment: sizes
-- The sizes of the values of a column, -1 for NULL.
string_agg(int4send(coalesce(octet_length({value}), -1)), '')

-- fragment: size
-- The size of a value, 0 for NULL.
coalesce(octet_length({value}), 0)

-- fragment: value
-- A value in the binary format of its type.
{send}({value})

-- fragment: as_it_is
-- The column as it is.
{column}

-- fragment: as_text
-- The column as text, if AVRO has no type for it or its binary format is not documented.
{column}::text

-- fragment: label
-- The number of an enum's label, counted from 0.
(array_position({labels}::text[], {column}::text) - 1)

-- fragment: unscaled
-- A decimal without its point; the least bigint means NaN, which AVRO cannot hold.
case when {column} = 'NaN' then '-9223372036854775808' else ({column} * {factor})::bigint end

-- fragment: elements
-- An array, each element converted; in place of one that AVRO cannot hold, one that is refused.
case
    when {column} is null then null
    when array_ndims({column}) > 1 then array[array[{none}]]
    when array_lower({column}, 1) <> 1 then array_fill({none}, array[1], array[2])
    else array(
        select {element} from unnest({column}) with ordinality as e (value, n) order by e.n
    )
end
