-- Restoring: what a backup changes in its tables, what that does to others, and the record.

-- name: lock
-- Lock a table against other writers until the transaction ends; it can be read.
lock table {table} in share row exclusive mode;

-- name: lock_parent
-- Lock a table that rows refer to against writers.
lock table {table} in share mode;

-- name: doomed
-- Collect the rows that are to be deleted: their tableoid, ctid and the columns that others refer to.
create temporary table {doomed} on commit drop as
select t.tableoid as "rowboat home", t.ctid as "rowboat place"{columns}
from {table} as t
where {which};

-- fragment: absent
-- The backup lacks the row: no row on the stage has its key.
not exists (select from pg_temp.stage as s where {joined})

-- name: references
-- All foreign keys that refer to a table, from any schema.
select
    k.conname as name, n.nspname as schema, c.relname as child, k.confdeltype as on_delete,
    coalesce((to_jsonb(k) ->> 'conperiod')::boolean, false) as period,
    array(
        select a.attname::text
        from unnest(k.conkey) with ordinality as i (attnum, ordinal)
        join pg_attribute as a on a.attrelid = k.conrelid and a.attnum = i.attnum
        order by i.ordinal
    ) as columns,
    array(
        select a.attname::text
        from unnest(k.confkey) with ordinality as i (attnum, ordinal)
        join pg_attribute as a on a.attrelid = k.confrelid and a.attnum = i.attnum
        order by i.ordinal
    ) as parent_columns
from pg_constraint as k
join pg_class as c on c.oid = k.conrelid
join pg_namespace as n on n.oid = c.relnamespace
where k.confrelid = {table}::regclass and k.contype = 'f' and k.conparentid = 0
    and {enforced}
order by 2, 3, 1;

-- name: dependents
-- Collect the rows of a child table that refer to doomed rows and are not doomed themselves.
create temporary table {dependents} on commit drop as
select c.tableoid as "rowboat home", c.ctid as "rowboat place"{columns}
from {child} as c
where exists (select from {doomed} as d where {joined}) and {stays};

-- fragment: not_in
-- The row is not among collected ones.
not exists (
    select from {rows} as g
    where g."rowboat home" = c.tableoid and g."rowboat place" = c.ctid
)

-- fragment: keeps
-- The row will not be replaced: the backup has none for its key, or that was rejected.
not exists (
    select from pg_temp.match as m
    where m.home = c.tableoid and m.place = c.ctid
        and not exists (select from pg_temp.verdict as v where v.n = m.n)
)

-- fragment: places
-- The places of doomed rows, as the judge needs them.
(select "rowboat home" as home, "rowboat place" as place from {doomed})

-- fragment: no_child
-- No row of a child table refers to the doomed row.
not exists (select from {child} as c where {joined})

-- name: delete
-- Delete doomed rows.
delete from {table} as t using {doomed} as d
where d."rowboat home" = t.tableoid and d."rowboat place" = t.ctid and {only};

-- fragment: returned
-- Delete doomed rows within a statement that counts them.
{delete} returning 1

-- name: stand_in
-- Create the stand-in of a table: good rows of the backup and rows that stay, by referenced keys.
create temporary table {stand_in} on commit drop as
select {values} from {stage} as s where {good}
union
select {columns} from {table} as t where {stays};

-- name: reasons
-- The reasons for rejecting rows: each rule and column with a count and an example.
select rule, column_name as "column", count(*) as rows, min(message) as example
from pg_temp.verdict group by rule, column_name order by 3 desc, 1, 2;

-- name: supersede
-- Settle the rejects of earlier restores of the same backup: its rows are judged again.
update ingest_status.rejected_rows
set settled_at = clock_timestamp(), settled_as = 'superseded'
where source = 'backup' and source_name = %(source_name)s and table_name = %(table)s
    and settled_at is null;

-- name: record
-- Record a restore, and the safety copy with the rows that it overwrote.
insert into backup_status.restores (
    source_name, tables, mode, cascades, safety_set, undoes, report, actor, run
)
values (
    %(source_name)s, %(tables)s, %(mode)s, %(cascades)s, %(safety_set)s, %(undoes)s,
    %(report)s, %(actor)s, %(run)s
)
returning id;

-- name: undo_unload
-- If what was undone is an unload, and its file has not been loaded since: give the file its state back,
-- and reopen what was refused of it.
with undone as (
    select r.source_name, r.started_at, r.finished_at
    from backup_status.restores as r
    join ingest_status.ingest_status as f
        on f.file_name = r.source_name and f.unloaded_from is not null
    where r.id = %(undoes)s and r.mode = 'unload'
), reopened as (
    update ingest_status.rejected_rows as q
    set settled_at = null, settled_as = null, discarded_by = null, discarded_because = null
    from undone as u
    where q.source = 'file' and q.source_name = u.source_name and q.settled_as = 'discarded'
        and q.settled_at between u.started_at and u.finished_at
    returning q.id
)
update ingest_status.ingest_status as f
set
    state = f.unloaded_from, unloaded_from = null,
    error = case f.unloaded_from when 'failed' then 'its load had failed before it was unloaded' end,
    discarded = f.discarded - (select count(*) from reopened)
from undone as u
where f.file_name = u.source_name;

-- name: is_safety_set
-- Whether the set is the safety copy of a recorded restore.
select exists (select from backup_status.restores where safety_set = %(set)s);

-- name: is_taken
-- Whether a table, view, index or sequence has the name.
select to_regclass(%(name)s) is not null;

-- name: by_id
-- A restore by its number.
select id, source_name, tables, mode, cascades, safety_set, undoes, report, actor, run,
    started_at, finished_at
from backup_status.restores where id = %(id)s;

-- name: by_run
-- The restore that a run has done, if any.
select id, report, safety_set from backup_status.restores where run = %(run)s;

-- name: history
-- The newest restores, or the newest of those with lower numbers.
select id, source_name, tables, mode, cascades, safety_set, undoes, report, actor, run,
    started_at, finished_at
from backup_status.restores
where id < %(before)s or %(before)s is null
order by id desc limit %(limit)s;

-- name: create_like
-- Create a table with the columns and rules of another, without foreign keys.
create table {into} (like {table} including all);
