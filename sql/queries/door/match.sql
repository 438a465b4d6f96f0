-- Joins the rows of the stage to the table by key.

-- name: greatest
-- Return the greatest key of the table: from the index, without reading rows.
select max({column}) from {table};

-- name: keys_range
-- Return the least and greatest integer key of the stage, the greatest that the table may have, and
-- the rows whose key occurs more than once.
select
    min({value}), max({value}), max({value}) filter (where {value} <= %(greatest)s),
    case when count({value}) > count(distinct {value}) then array(
        select unnest(array_agg(s.n)) from pg_temp.stage as s
        group by {value} having count({value}) > 1
    ) end
from pg_temp.stage as s;

-- name: match
-- Record the rows whose key is in the table: whether that row is to stay as it is, whether it does
-- so although it differs, and whether this source wrote it.
insert into pg_temp.match
select
    s.n,
    not ({differs} and {arrived}),
    {differs} and not {arrived},
    {own},
    t.xmin::text::bigint,
    t.tableoid,
    t.ctid,
    {key}
from pg_temp.stage as s
join {table} as t on {joined}{seen}
where {within};

-- name: take_equal
-- Take good rows that equal the table's off the stage: their keys go to `seen`, all other rows to
-- `rest`.
with others as (
    insert into pg_temp.rest overriding system value
    select s.* from pg_temp.stage as s
    left join {table} as t on {joined} and {within}{seen}
    where not (t.ctid is not null and {good} and not {own} and not {differs})
    returning n
)
insert into pg_temp.seen
select {key} from pg_temp.stage as s where not exists (select from others as o where o.n = s.n);

-- fragment: differs
-- The row of the stage differs from that of the table in at least one bit.
row({columns})::record *<> row({values})::record

-- fragment: arrived
-- An earlier version of the source did not have the row: it is newer than that of the table.
s.n = any(%(arrived)s::integer[])

-- fragment: own
-- This source wrote the row of the table, or has found it equal before.
(t.xmin = any(%(own)s::text[]::xid[]) or {is_seen})

-- fragment: seen
-- Equal rows that occurred earlier in the same source.
left join pg_temp.seen as e on {joined}

-- fragment: within
-- Read only that part of the table in which the integer keys of the stage are.
t.{column} between %(least)s and %(greatest)s
