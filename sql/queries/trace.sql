-- Where a row came from, and what became of a line.

-- name: row
-- The row as it stands, with the transaction that wrote it and how far the counter has moved on.
select
    t.xmin::text as xmin,
    to_jsonb(t) as fields,
    age(t.xmin) as age
from {table} as t where {key};

-- name: writers
-- Loads by the transaction that they were; after four thousand million transactions numbers recur.
select
    l.*,
    pg_current_xact_id()::text::numeric - l.xid::text::numeric >= 2147483648 as number_recurred
from ingest_status.loads as l
where l.xid::xid = %(xmin)s::text::xid and l.table_name = %(table)s
order by l.id desc limit 1;

-- name: earlier
-- Loads that wrote a row before the one that wrote it last, newest first.
with recursive history as (
    select o.load_id, o.previous, 1 as step
    from ingest_status.overwritten as o
    where o.load_id = %(load_id)s and %(key)s = any(o.keys)
    union all
    select o.load_id, o.previous, h.step + 1
    from history as h
    join ingest_status.loads as l on l.xid::xid::text::bigint = h.previous
    join ingest_status.overwritten as o on o.load_id = l.id and %(key)s = any(o.keys)
    where l.table_name = %(table)s
)
select l.* from history as h
join ingest_status.loads as l on l.xid::xid::text::bigint = h.previous
where l.table_name = %(table)s
order by h.step;

-- name: retried
-- The quarantined row that a retry brought in, by its key.
select q.* from ingest_status.rejected_rows as q
where q.settled_by = %(load_id)s and {key};

-- name: load_of_line
-- The load that read a line of the present version of a file.
select l.* from ingest_status.loads as l
join ingest_status.ingest_status as f
    on f.file_name = l.source_name and f.version = l.version
where l.source = 'file' and l.source_name = %(file_name)s
    and %(line)s between l.first_line and l.last_line
order by l.id desc limit 1;

-- name: rejected_line
-- The quarantined row of a line, its newest.
select * from ingest_status.rejected_rows
where source = 'file' and source_name = %(file_name)s and line = %(line)s
order by id desc limit 1;
