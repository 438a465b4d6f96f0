-- Tables that no longer hold what files brought into them.

-- name: brought
-- The files that are loaded and brought rows, how many of them were inserted, how many are good at
-- all, and the table into which they went.
select table_name, file_name, inserted, read - rejected as good, relation
from ingest_status.ingest_status
where state = 'loaded' and read > rejected;

-- fragment: empty
-- The name of a table if it is empty.
select {full_name} where not exists (select from {table})

-- fragment: count
-- The number of rows of a table, at most so many.
select {full_name}, (select count(*) from (select from {table} limit {most}) as t)

-- name: settle
-- Remember tables that were created anew and hold at least as many rows as their files brought.
update ingest_status.ingest_status as p set relation = t.oid
from unnest(%(names)s::text[], %(oids)s::bigint[]::oid[]) as t (name, oid)
where p.table_name = t.name and p.relation <> t.oid;

-- name: retyped
-- The loaded files of which columns have other types now, or are gone: column → type, then and now.
select p.file_name, p.table_name, p.types, t.types
from ingest_status.ingest_status as p
join jsonb_each(%(types)s::jsonb) as t (name, types) on t.name = p.table_name
where p.state = 'loaded' and p.read > p.rejected and not t.types @> p.types;

-- name: restored
-- The loaded files of which a load is not in the set to which their table was restored later. What a
-- table holds is decided by its last restore, for rows before that by the last restore that its set
-- has seen, and so on; so a restore that was undone has taken nothing out.
with recursive done as (
    select r.id, r.source_name, r.finished_at, l.table_name, l.xid, b.taken_at,
        b.snapshot::pg_snapshot
    from backup_status.restores as r
    join ingest_status.loads as l on l.source = 'backup' and l.started_at = r.started_at
    join backup_status.backup_status as b
        on b.set_name = r.source_name and b.table_name = l.table_name
    where r.mode = 'replace'
),
deciding as (
    (select distinct on (table_name) * from done order by table_name, id desc)
    union all
    select earlier.*
    from deciding as s
    cross join lateral (
        select d.* from done as d
        where d.table_name = s.table_name and d.id < s.id
            and pg_visible_in_snapshot(d.xid, s.snapshot)
        order by d.id desc limit 1
    ) as earlier
)
select distinct on (p.file_name) p.file_name, p.table_name, s.source_name, s.finished_at
from deciding as s
join ingest_status.ingest_status as p on p.table_name = s.table_name and p.state = 'loaded'
join ingest_status.loads as l on l.source_name = p.file_name and l.version = p.version
where
    l.source in ('file', 'retry') and l.table_name = s.table_name and l.inserted + l.updated > 0
    and l.finished_at < s.finished_at and not pg_visible_in_snapshot(l.xid, s.snapshot)
    -- in a copy of the database on another server, transactions are counted anew
    and l.finished_at > s.taken_at - interval '1 day'
order by p.file_name, s.id desc;
