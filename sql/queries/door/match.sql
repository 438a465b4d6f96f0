-- Where the rows of the stage meet those of the table.

-- name: greatest
-- The greatest key of the table.
select max({column}) from {table};

-- name: keys_range
-- The least and greatest integer key of the stage, the greatest that the table may have, and the
-- rows of those that stand on it more than once.
select
    min({value}), max({value}), max({value}) filter (where {value} <= %(greatest)s),
    case when count({value}) > count(distinct {value}) then array(
        select unnest(array_agg(s.n)) from pg_temp.stage as s
        group by {value} having count({value}) > 1
    ) end
from pg_temp.stage as s;

-- name: match
-- Rows whose key is in the table: equal to it or not, and whether this very source wrote it.
insert into pg_temp.match
select
    s.n,
    not {differs},
    {own},
    t.xmin::text::bigint,
    t.tableoid,
    t.ctid,
    {key}
from pg_temp.stage as s
join {table} as t on {joined}
{seen}
where {within};

-- name: take_equal
-- Good rows that equal the table's are remembered, the others make the rest.
with others as (
    insert into pg_temp.rest overriding system value
    select s.* from pg_temp.stage as s
    left join {table} as t on {joined} and {within}
    {seen}
    where not (t.ctid is not null and {good} and not {own} and not {differs})
    returning n
)
insert into pg_temp.seen
select {key} from pg_temp.stage as s where not exists (select from others as o where o.n = s.n);

-- fragment: differs
-- A row of the stage differs from that of the table, be it by a bit.
row({columns})::record *<> row({values})::record

-- fragment: own
-- This very source wrote the row of the table, or found it equal.
(t.xmin = any(%(own)s::text[]::xid[]) or {is_seen})

-- fragment: seen
-- Equal rows that stood earlier in the same source.
left join pg_temp.seen as e on {joined}

-- fragment: within
-- Look only where the stage's integer keys lie.
t.{column} between %(least)s and %(greatest)s
