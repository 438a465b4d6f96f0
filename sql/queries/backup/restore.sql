-- Restoring: what a backup would change, what that would do to other tables, and doing it.

-- name: lock
-- Nobody else writes to the table until the transaction ends; readers go on.
lock table {table} in share row exclusive mode;

-- name: lock_parent
-- Nobody writes to a table that rows refer to.
lock table {table} in share mode;

-- name: doomed
-- Rows of the table that are to go, with their places.
create temporary table {doomed} on commit drop as
select t.tableoid as "rowboat home", t.ctid as "rowboat place", t.*
from {table} as t
where {which};

-- fragment: absent
-- The backup on the stage does not have the row: no row of the stage has its key.
not exists (select from pg_temp.stage as s where {joined})

-- name: references
-- Every foreign key onto a table, from whatever schema.
select
    k.conname as name, n.nspname as schema, c.relname as child, k.confdeltype as on_delete,
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
order by 2, 3, 1;

-- name: dependents
-- The rows of a child table that refer to doomed rows and are not doomed themselves.
create temporary table {dependents} on commit drop as
select c.tableoid as "rowboat home", c.ctid as "rowboat place", c.*
from {child} as c
where exists (select from {doomed} as d where {joined}) and {stays};

-- fragment: not_in
-- The row is none of those.
not exists (
    select from {rows} as g
    where g."rowboat home" = c.tableoid and g."rowboat place" = c.ctid
)

-- fragment: keeps
-- A row that will not become what the backup has for its key, because that was refused.
not exists (
    select from pg_temp.match as m
    where m.home = c.tableoid and m.place = c.ctid
        and not exists (select from pg_temp.verdict as v where v.n = m.n)
)

-- fragment: places
-- Doomed rows by where they are, as the judge looks for them.
(select "rowboat home" as home, "rowboat place" as place from {doomed})

-- fragment: no_child
-- No row of a child table refers to the doomed row.
not exists (select from {child} as c where {joined})

-- name: delete
-- Delete doomed rows.
delete from {table} as t using {doomed} as d
where d."rowboat home" = t.tableoid and d."rowboat place" = t.ctid and {only};

-- fragment: returned
-- The same as a part of a statement.
{delete} returning 1

-- name: stand_in
-- What rows may refer to when the restore is done: the good rows of the backup, and those that stay.
create temporary table {stand_in} on commit drop as
select {values} from {stage} as s where {good}
union
select {columns} from {table} as t where {stays};

-- name: reasons
-- Why rows would be rejected: each rule and column with a count and an example.
select rule, column_name as "column", count(*) as rows, min(message) as example
from pg_temp.verdict group by rule, column_name order by 3 desc, 1, 2;

-- name: supersede
-- What was refused when the same backup was restored before is judged anew.
update ingest_status.rejected_rows
set settled_at = clock_timestamp(), settled_as = 'superseded'
where source = 'backup' and source_name = %(source_name)s and table_name = %(table)s
    and settled_at is null;

-- name: record
-- A restore and where the rows that it overwrote are.
insert into backup_status.restores (
    source_name, tables, mode, cascades, safety_set, undoes, report, actor, run
)
values (
    %(source_name)s, %(tables)s, %(mode)s, %(cascades)s, %(safety_set)s, %(undoes)s,
    %(report)s, %(actor)s, %(run)s
)
returning id;

-- name: is_safety_set
-- Would an undo need the set?
select exists (select from backup_status.restores where safety_set = %(set)s);

-- name: is_taken
-- Is the name that of a table, view, index or sequence?
select to_regclass(%(name)s) is not null;

-- name: by_id
-- One restore.
select id, source_name, tables, mode, cascades, safety_set, undoes, report, actor, run,
    started_at, finished_at
from backup_status.restores where id = %(id)s;

-- name: by_run
-- The restore that a run has done.
select id, report, safety_set from backup_status.restores where run = %(run)s;

-- name: history
-- The newest restores, or those before one.
select id, source_name, tables, mode, cascades, safety_set, undoes, report, actor, run,
    started_at, finished_at
from backup_status.restores
where id < %(before)s or %(before)s is null
order by id desc limit %(limit)s;

-- name: create_like
-- A new table beside the old: the same columns and rules, without foreign keys.
create table {into} (like {table} including all);
