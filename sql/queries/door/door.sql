-- The record of each passage through the door.

-- name: record
-- Record one load with its counts; a CHECK of the table asserts that they add up.
insert into ingest_status.loads (
    table_name, source, source_name, version, first_line, last_line, first_byte, last_byte,
    actor, run, read, inserted, updated, unchanged, rejected
)
values (
    %(table)s, %(source)s, %(source_name)s, %(version)s, %(first_line)s, %(last_line)s,
    %(first_byte)s, %(last_byte)s, %(actor)s, %(run)s,
    %(read)s, %(inserted)s, %(updated)s, %(unchanged)s, %(rejected)s
)
returning id, xmin::text;

-- name: totals
-- Return what all loads of a run did together.
select
    coalesce(sum(read), 0)::bigint, coalesce(sum(inserted), 0)::bigint,
    coalesce(sum(updated), 0)::bigint, coalesce(sum(unchanged), 0)::bigint,
    coalesce(sum(rejected), 0)::bigint
from ingest_status.loads where run = %(run)s;
