-- The judge: all rows of the stage against each rule of their table, one statement per rule. A row
-- gets all of its reasons.

-- name: cells
-- Refuse empty cells of required columns, and cells that are no value of their type. One pass over
-- the stage: only odd rows get to the list of reasons.
with s as (
    {odd}
)
insert into pg_temp.verdict (n, place, rule, column_name, message)
select s.n, r.place, r.rule, r.column_name, r.message
from s
cross join lateral (values
    {reasons}
) as r (place, rule, column_name, message, broken)
where r.broken;

-- fragment: odd
-- Rows with a cell that has a fault.
select s.* from pg_temp.stage as s
    where {broken}

-- fragment: tidied
-- Rows with a cell that has a fault, or had one until it was tidied.
update pg_temp.stage as s set {changes}
    where {broken}
    returning s.*

-- fragment: reason
-- One possible reason against a row.
({place}, {rule}, {column}::text, {message}, {broken})

-- fragment: is_missing
-- A required cell is empty.
{cell} is null

-- fragment: is_no_value
-- A cell is not empty, and is no value of its column's type.
({cell} is not null and not {valid})

-- fragment: type_message
-- What is wrong with a cell: its form, or a value that the type cannot hold.
'''' || left({cell}, 80) || case when length({cell}) > 80 then '…' else '' end || ''' '
    || case when not {whole} then {more} else {fault} end

-- fragment: valid_whole
-- A value of the type, of which nothing is lost.
({valid} and {whole})

-- fragment: same_time
-- The type holds the time exactly. Text that is no time at all is reported as that.
case
    when pg_input_is_valid({cell}, {wide_name}) and pg_input_is_valid({cell}, {type_name})
    then {cell}::{wide} = {cell}::{type} else true
end

-- fragment: has_digits
-- A number that can be written in digits.
({cell} not in ('NaN', 'Infinity', '-Infinity'))

-- name: dirty_columns
-- Return the columns with at least one cell that is no value of its type.
select distinct column_name from pg_temp.verdict where rule = 'type';

-- name: checks
-- Refuse rows that break a CHECK. As in SQL, a check that is NULL holds.
insert into pg_temp.verdict (n, place, rule, column_name, message)
select t."rowboat n", r.place, r.rule, r.column_name, r.message
from (select s.n as "rowboat n", {values} from pg_temp.stage as s) as t
cross join lateral (values
    {reasons}
) as r (place, rule, column_name, message, broken)
where (
    {broken}
) and r.broken;

-- fragment: is_false
-- A check does not hold.
({expression}) is false

-- name: reference
-- Refuse rows that refer to a parent that does not exist.
insert into pg_temp.verdict (n, place, rule, column_name, message)
select s.n, {place}, 'reference', {column}, {message}
from pg_temp.stage as s
where {given} and not exists (select from {parent} as p where {joined});

-- name: period_reference
-- Refuse rows whose period is not covered by the periods of their parents.
insert into pg_temp.verdict (n, place, rule, column_name, message)
select s.n, {place}, 'reference', {column}, {message}
from pg_temp.stage as s
where {given} and (
    select range_agg({parents}) @> {period} from {parent} as p where {joined}
) is not true;

-- name: halves
-- Refuse rows that give only a part of a parent's key (MATCH FULL: all or nothing).
insert into pg_temp.verdict (n, place, rule, column_name, message)
select s.n, {place}, 'reference', {column}, {message}
from pg_temp.stage as s
where num_nulls({values}) > 0 and num_nonnulls({values}) > 0;

-- name: own_reference
-- Refuse rows whose parent is neither in the table nor among the rows of the stage that are not
-- refused, if the table refers to itself. `orphans` follows the references down, so one run refuses
-- all descendants of a refused row. May be run again after more rows were refused.
with recursive families as materialized (
    select s.n, {own_key} as parent_key, {child_key} as child_key
    from pg_temp.stage as s
    where {given} and not exists (select from {parent} as p where {joined})
),
members as materialized (
    select s.n, {own_key} as parent_key from pg_temp.stage as s
    where not exists (select from pg_temp.verdict as v where v.n = s.n)
),
orphans as (
    select f.n, f.parent_key from families as f
    where not exists (select from members as m where m.parent_key = f.child_key)
    union
    select f.n, f.parent_key from orphans as o
    join families as f on f.child_key = o.parent_key
    where not exists (
        select from members as m where m.parent_key = f.child_key and m.n <> o.n
    )
)
insert into pg_temp.verdict (n, place, rule, column_name, message)
select s.n, {place}, 'reference', {column}, {message}
from pg_temp.stage as s
join orphans as o on o.n = s.n
where not exists (
    select from pg_temp.verdict as v
    where v.n = s.n and v.rule = 'reference' and v.column_name = {column}
);

-- name: refused
-- Return the rows with a verdict.
select distinct n from pg_temp.verdict order by n;

-- name: known
-- Refuse rows whose key is in the table, if this source wrote it there, or may only insert.
insert into pg_temp.verdict (n, place, rule, column_name, message)
select
    s.n, {place}, 'duplicate', {column},
    {message} || case when m.same and not m.overtaken then ' with the same values' else ' with other values' end
from pg_temp.match as m
join pg_temp.stage as s on s.n = m.n
where m.own or %(refuse)s or {newer};

-- fragment: newer
-- The row in the table must not be overwritten by one that waited in quarantine: its source has
-- written the row again since, another source has, or the waiting row is from a request that may
-- not update.
not exists (
    select from ingest_status.loads as l
    join ingest_status.rejected_rows as q
        on q.id = (%(rejected_ids)s::bigint[])[s.n] and l.id < q.load_id
        and (l.source_name, l.version) is distinct from (q.source_name, q.version)
        and not (q.source = 'api' and q.reasons @> '[{{"rule": "duplicate"}}]')
    where l.xid::xid = m.previous::text::xid
)

-- name: repeated
-- Refuse rows with a key that an earlier row of the stage has: the first row without a verdict
-- keeps it.
with rivals as (
    select
        s.*,
        min(s.n) filter (
            where not exists (select from pg_temp.verdict as v where v.n = s.n)
        ) over (
            partition by {values} order by s.n rows between unbounded preceding and 1 preceding
        ) as first
    from pg_temp.stage as s
    where {given} and {among}
)
insert into pg_temp.verdict (n, place, rule, column_name, message)
select s.n, {place}, 'duplicate', {column}, {message}
from rivals as s
join rivals as f on f.n = s.first
where {other_row};

-- fragment: among_keys
-- Sort only rows whose key occurs more than once.
({values}) in (
    select {values} from pg_temp.stage as s where {given} group by {values} having count(*) > 1
)

-- fragment: among_rows
-- Sort only rows whose key occurs more than once; their numbers are known.
s.n = any(%(repeated)s::integer[])

-- fragment: compared
-- How a row compares with the first one of its key.
case
    when row({cells_here}) is not distinct from row({cells_first}) then ' with the same values'
    else ' with other values'
end

-- name: taken
-- Refuse rows with a unique value that another row of the table has.
insert into pg_temp.verdict (n, place, rule, column_name, message)
select s.n, {place}, 'duplicate', {column}, {message}
from pg_temp.stage as s
join {table} as t on {joined}
where {given} and ({other_row}) and {stays} and not exists (
    select from pg_temp.verdict as v where v.n = s.n and v.place = {place}
);

-- fragment: stays
-- The other row of the table will not be deleted.
not exists (select from {gone} as g where g.home = t.tableoid and g.place = t.ctid)

-- fragment: keeps
-- The other row will keep its value: no good row of the stage changes it, or not in time.
(not exists (
    select from pg_temp.match as r
    where r.home = t.tableoid and r.place = t.ctid
        and not exists (select from pg_temp.verdict as v where v.n = r.n)
) or {also})

-- fragment: updates
-- The row will be an update, and not be inserted.
exists (select from pg_temp.match as u where u.n = s.n)

-- fragment: staying
-- The rows of the table that will not be deleted.
(select t.* from {table} as t where {stays})
