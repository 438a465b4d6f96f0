-- Where a row came from, and what became of a line.

-- name: canonical
-- Keys as Postgres writes them, so that 007 and 7 are equal; NULL for texts that cannot be a key.
select case when {valid} then jsonb_build_array({values})::text end
from jsonb_array_elements(%(keys)s) with ordinality as k (key, n)
order by k.n;

-- name: row
-- The present row with its key and the transaction that wrote it.
select t.xmin::text as xmin, to_jsonb(t) as fields, jsonb_build_array({key})::text as key
from {table} as t where {condition};

-- name: writers
-- The loads of a transaction, newest first; xmin has 32 bits, so IDs recur after four billion.
select
    l.*,
    min(l.xid) over () < max(l.xid) over ()
    or pg_snapshot_xmax(pg_current_snapshot())::text::numeric - l.xid::text::numeric >= 2147483648
    as number_recurred
from ingest_status.loads as l
where l.xid::xid = %(xmin)s::text::xid and l.table_name = %(table)s
order by l.xid desc, l.id desc;

-- name: earlier
-- Loads that wrote a row before the one that wrote it last, newest first.
with recursive history as (
    select o.load_id, o.previous, 1 as step
    from ingest_status.overwritten as o
    where o.load_id = any(%(load_ids)s) and %(key)s = any(o.keys)
    union all
    select o.load_id, o.previous, h.step + 1
    from history as h
    join ingest_status.loads as l on l.xid::xid = h.previous::text::xid and l.id < h.load_id
    join ingest_status.overwritten as o on o.load_id = l.id and %(key)s = any(o.keys)
    where l.table_name = %(table)s
)
select l.* from history as h
join ingest_status.loads as l on l.xid::xid = h.previous::text::xid and l.id < h.load_id
where l.table_name = %(table)s
order by h.step, l.id desc;

-- name: held
-- Backup sets with the row as a load wrote it: their snapshot sees the transaction of the load.
select set_name from backup_status.backup_status
where table_name = %(table)s and taken_at >= %(finished_at)s
    and pg_visible_in_snapshot(%(xid)s::text::xid8, snapshot::pg_snapshot)
order by taken_at, set_name;

-- name: retried
-- The quarantined rows that a retry has loaded.
select * from ingest_status.rejected_rows where settled_by = %(load_id)s;

-- name: loads_of_line
-- The loads that read a line of the present version of a file: two if its newline was appended
-- later.
select l.* from ingest_status.loads as l
join ingest_status.ingest_status as f
    on f.file_name = l.source_name and f.version = l.version
where l.source = 'file' and l.source_name = %(file_name)s
    and %(line)s between l.first_line and l.last_line
order by l.id;

-- name: unload
-- The last time that a file was unloaded after one of its loads.
select * from ingest_status.loads
where source = 'unload' and source_name = %(source_name)s and table_name = %(table_name)s
    and id > %(id)s
order by id desc limit 1;

-- name: rejected_line
-- The newest quarantined row of a line in the present version of a file, unless its load was taken
-- back.
select q.* from ingest_status.rejected_rows as q
join ingest_status.ingest_status as f
    on f.file_name = q.source_name and f.version = q.version
join ingest_status.loads as l on l.id = q.load_id and l.read > 0
where q.source = 'file' and q.source_name = %(file_name)s and q.line = %(line)s
order by q.id desc limit 1;
