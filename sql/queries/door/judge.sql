-- The judge: every row of the stage against every rule, set by set. A row gets all its reasons.

-- name: cells
-- Required and type: one pass over the stage; only broken rows are looked at twice.
insert into pg_temp.verdict (n, place, rule, column_name, message)
select s.n, r.place, r.rule, r.column_name, r.message
from pg_temp.stage as s
cross join lateral (values {reasons}) as r (place, rule, column_name, message, broken)
where ({broken}) and r.broken;

-- fragment: reason
-- One possible reason of one row.
({place}, {rule}, {column}::text, {message}, {broken})

-- fragment: is_missing
-- A required cell is empty.
{cell} is null

-- fragment: is_no_value
-- A cell is there and is no value of its column.
({cell} is not null and not {valid})

-- fragment: type_message
-- What is wrong with a cell: its form, or a value that the type cannot hold.
'''' || left({cell}, 80) || case when length({cell}) > 80 then '…' else '' end || ''' is '
    || case when not {whole} then {more} when {form} then {beyond} else {not_noun} end

-- fragment: valid_whole
-- A value of which nothing gets lost.
({valid} and {whole})

-- fragment: same_time
-- A time that the type holds to its last part; what is no time at all is told elsewhere.
case
    when pg_input_is_valid({cell}, {wide_name}) and pg_input_is_valid({cell}, {type_name})
    then {cell}::{wide} = {cell}::{type} else true
end

-- fragment: has_digits
-- A number that digits can write.
({cell} not in ('NaN', 'Infinity', '-Infinity'))

-- name: dirty_columns
-- The columns that hold at least one cell of a wrong type.
select distinct column_name from pg_temp.verdict where rule = 'type';

-- name: checks
-- The table's CHECKs over typed values; a check that is NULL holds, as in SQL.
insert into pg_temp.verdict (n, place, rule, column_name, message)
select t."rowboat n", r.place, r.rule, r.column_name, r.message
from (select s.n as "rowboat n", {values} from pg_temp.stage as s) as t
cross join lateral (values {reasons}) as r (place, rule, column_name, message, broken)
where ({broken}) and r.broken;

-- fragment: is_false
-- A check does not hold.
({expression}) is false

-- name: reference
-- Rows that name a parent which is not there.
insert into pg_temp.verdict (n, place, rule, column_name, message)
select s.n, {place}, 'reference', {column}, {message}
from pg_temp.stage as s
where {given} and not exists (select from {parent} as p where {joined});

-- name: halves
-- Rows that name a part of a parent's key, where it must be named whole or not at all.
insert into pg_temp.verdict (n, place, rule, column_name, message)
select s.n, {place}, 'reference', {column}, {message}
from pg_temp.stage as s
where num_nulls({values}) > 0 and num_nonnulls({values}) > 0;

-- name: own_reference
-- The same where the parent is the table itself: rows of the stage are parents too, unless they
-- are refused; so a refused parent refuses its children, however deep. May be asked again.
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
-- The rows with a verdict against them.
select distinct n from pg_temp.verdict order by n;

-- name: known
-- Keys that this source, or a source that may only insert, finds taken.
insert into pg_temp.verdict (n, place, rule, column_name, message)
select
    s.n, {place}, 'duplicate', {column},
    {message} || case when m.same then ' with the same values' else ' with other values' end
from pg_temp.match as m
join pg_temp.stage as s on s.n = m.n
where m.own or %(refuse)s or {newer};

-- fragment: newer
-- The row was written by the source that this one waits for, or again after this one was refused,
-- or a request that may not update found its key taken: what waited must not undo it.
not exists (
    select from ingest_status.loads as l
    join ingest_status.rejected_rows as q
        on q.id = (%(rejected_ids)s::bigint[])[s.n] and l.id < q.load_id
        and (l.source_name, l.version) is distinct from (q.source_name, q.version)
        and not (q.source = 'api' and q.reasons @> '[{{"rule": "duplicate"}}]')
    where l.xid::xid = m.previous::text::xid
)

-- name: repeated
-- A key that stands more than once in the stage: the first row that is good keeps it.
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
-- Only keys that stand more than once need to be put in order.
({values}) in (
    select {values} from pg_temp.stage as s where {given} group by {values} having count(*) > 1
)

-- fragment: among_rows
-- The same, where their rows are known.
s.n = any(%(repeated)s::integer[])

-- fragment: compared
-- How a row differs from the first one with its key.
case
    when row({cells_here}) is not distinct from row({cells_first}) then ' with the same values'
    else ' with other values'
end

-- name: taken
-- A unique value that another row of the table holds.
insert into pg_temp.verdict (n, place, rule, column_name, message)
select s.n, {place}, 'duplicate', {column}, {message}
from pg_temp.stage as s
join {table} as t on {joined}
where {given} and ({other_row}) and {stays} and not exists (
    select from pg_temp.verdict as v where v.n = s.n and v.place = {place}
);

-- fragment: stays
-- The other row is none that will be deleted.
not exists (select from {gone} as g where g.home = t.tableoid and g.place = t.ctid)

-- fragment: keeps
-- No good row of the stage will change the other row, or not in time.
(not exists (
    select from pg_temp.match as r
    where r.home = t.tableoid and r.place = t.ctid
        and not exists (select from pg_temp.verdict as v where v.n = r.n)
) or {also})

-- fragment: updates
-- The row will be an update, not inserted.
exists (select from pg_temp.match as u where u.n = s.n)

-- fragment: staying
-- The rows of the table that will not be deleted.
(select t.* from {table} as t where {stays})
