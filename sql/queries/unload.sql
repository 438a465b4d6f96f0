-- Unloading: what became of the rows that a file brought, and taking them out.

-- name: wait_for_locks
-- Let an unload not wait long for other writers: new ones queue behind it.
set local lock_timeout = '10s';

-- name: try_lock_file
-- Become the only one that works on a file, until the transaction ends; false if it is being loaded.
select pg_try_advisory_xact_lock(hashtextextended('rowboat.file.' || %(file_name)s, 0));

-- name: brought
-- The tables into which a file was loaded, with the number of rows that it has inserted since it was
-- last unloaded.
select l.table_name, coalesce(sum(l.inserted) filter (where l.id > coalesce((
    select max(u.id) from ingest_status.loads as u
    where u.source = 'unload' and u.source_name = %(file_name)s and u.table_name = l.table_name
), 0)), 0)::bigint
from ingest_status.loads as l
where l.source in ('file', 'retry') and l.source_name = %(file_name)s and l.version is not null
group by l.table_name;

-- name: recurs
-- Whether the number of one of these transactions may also be that of another one: xmin has 32 bits.
select exists (
    select from ingest_status.loads as l
    where l.source in ('file', 'retry') and l.source_name = %(file_name)s and (
        pg_snapshot_xmax(pg_current_snapshot())::text::numeric - l.xid::text::numeric >= 4294967296
        or exists (
            select from ingest_status.loads as o where o.xid::xid = l.xid::xid and o.xid <> l.xid
        )
    )
);

-- name: own
-- Collect the transactions in which the file wrote rows.
create temporary table rowboat_own on commit drop as
select x.xid from unnest(%(own)s::text[]::xid[]) as x (xid);

-- name: before
-- Collect the keys of rows that the file has updated and that others had written.
create temporary table {before} on commit drop as
select distinct k.key::jsonb as key
from ingest_status.loads as l
join ingest_status.overwritten as o on o.load_id = l.id
cross join unnest(o.keys) as k (key)
where l.source in ('file', 'retry') and l.source_name = %(file_name)s
    and l.table_name = %(table)s
    and o.previous::text::xid not in (select w.xid from pg_temp.rowboat_own as w);

-- fragment: written
-- The row t is as the file wrote it.
t.xmin in (select w.xid from pg_temp.rowboat_own as w)

-- fragment: was_there
-- The row t was in the table before the file updated it.
exists (select from {before} as b where b.key = jsonb_build_array({key}))

-- name: updated
-- The number of rows that the file has updated and that are as it left them, and some of them.
select count(*), coalesce(array_agg(f.shown) filter (where f.n <= %(few)s), '{{}}')
from (select {shown} as shown, row_number() over () as n from {table} as t where {which}) as f;

-- name: examples
-- Some of the rows that will leave.
select {shown} from {doomed} as d
join {table} as t on t.tableoid = d."rowboat home" and t.ctid = d."rowboat place"
limit %(few)s;

-- name: changed
-- Who has changed rows of the file since, and how many that are still there: files and backups by
-- name, others by actor. The last number is that of rows which the file has updated again.
select
    l.source, case when l.source in ('file', 'backup') then l.source_name end as name, l.actor,
    count(distinct k.key) filter (where not {written}),
    count(distinct k.key) filter (where {written})
from ingest_status.overwritten as o
join ingest_status.loads as l on l.id = o.load_id
cross join unnest(o.keys) as k (key)
join {table} as t on jsonb_build_array({key}) = k.key::jsonb
where l.table_name = %(table)s
    and o.previous::text::xid in (select w.xid from pg_temp.rowboat_own as w)
    and not (l.source in ('file', 'retry') and l.source_name = %(file_name)s)
group by 1, 2, 3 order by 4 desc, 1, 2, 3;

-- name: bringers
-- The files that brought rows of a child table, those with the most loads first.
select l.source_name from ingest_status.loads as l
where l.table_name = %(table)s and l.source in ('file', 'retry') and l.xid::xid in (
    select c.xmin from {child} as c
    join {kept} as k on k."rowboat home" = c.tableoid and k."rowboat place" = c.ctid
)
group by l.source_name order by count(*) desc, l.source_name limit %(few)s;

-- name: record
-- Record in a table's loads that a file was unloaded: nothing passed the door.
insert into ingest_status.loads (
    table_name, source, source_name, version, actor, read, inserted, updated, unchanged, rejected
)
select %(table)s, 'unload', file_name, version, %(actor)s, 0, 0, 0, 0, 0
from ingest_status.ingest_status where file_name = %(file_name)s;

-- name: settle
-- Give a file the state in which it waits until it is changed or asked for.
update ingest_status.ingest_status set
    unloaded_from = state, state = 'unloaded', error = null, actor = %(actor)s, run = null,
    finished_at = clock_timestamp()
where file_name = %(file_name)s;
