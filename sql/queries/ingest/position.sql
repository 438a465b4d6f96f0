-- Positions: how far each file is loaded.

-- name: all
-- Every known file.
select * from ingest_status.ingest_status;

-- name: seen
-- Size and version of every known file as last seen.
select file_name, file_size, file_version from ingest_status.ingest_status;

-- name: done
-- Table, size and version of every file that is loaded or unloaded, and its state in a run that finds
-- it unchanged.
select
    file_name, table_name, file_size, file_version,
    case state when 'unloaded' then state else 'unchanged' end
from ingest_status.ingest_status where state in ('loaded', 'unloaded');

-- name: lock_file
-- Let one loader at a time work on a file; the session keeps the lock for the whole pass.
select pg_advisory_lock(hashtextextended('rowboat.file.' || %(file_name)s, 0));

-- name: unlock_file
-- Let the next loader look at the file.
select pg_advisory_unlock(hashtextextended('rowboat.file.' || %(file_name)s, 0));

-- name: read
-- The position of a file.
select * from ingest_status.ingest_status where file_name = %(file_name)s;

-- name: hold
-- The position of a file, locked until the transaction ends.
select * from ingest_status.ingest_status where file_name = %(file_name)s for update;

-- name: begin
-- Record that a pass begins; a new file starts at its first byte, a known one keeps its position.
insert into ingest_status.ingest_status as p
    (file_name, table_name, state, file_size, file_version, dialect, actor, run, started_at)
values (
    %(file_name)s, %(table_name)s, 'loading', %(file_size)s, %(file_version)s, %(dialect)s,
    %(actor)s, %(run)s, clock_timestamp()
)
on conflict (file_name) do update set
    table_name = excluded.table_name,
    state = 'loading',
    file_size = excluded.file_size,
    file_version = excluded.file_version,
    dialect = case when p.loaded_bytes = 0 then excluded.dialect else p.dialect end,
    pass_bytes = case when p.state = 'loaded' then p.loaded_bytes else p.pass_bytes end,
    error = null,
    unloaded_from = null,
    actor = excluded.actor,
    run = excluded.run,
    started_at = excluded.started_at,
    finished_at = null
returning *;

-- name: loaded_into
-- The files with rows that are loaded completely into a table, unless it is empty.
select * from ingest_status.ingest_status
where table_name = %(table_name)s and state = 'loaded' and read > 0
    and (%(sizes)s::bigint[] is null or loaded_bytes = any(%(sizes)s::bigint[]))
    and exists (select from {table})
order by file_name;

-- name: rename
-- Give the position, loads and refused rows of a file to its new name.
update ingest_status.loads set source_name = %(file_name)s
where source in ('file', 'retry', 'unload') and source_name = %(known)s;
update ingest_status.rejected_rows set source_name = %(file_name)s
where source = 'file' and source_name = %(known)s;
update ingest_status.ingest_status set
    file_name = %(file_name)s, file_size = %(file_size)s, file_version = %(file_version)s,
    dialect = %(dialect)s, loaded_bytes = %(loaded_bytes)s, prefix_sha256 = %(prefix_sha256)s
where file_name = %(known)s;

-- name: copy
-- Record a copy of a loaded file as loaded: all rows of it are there, unchanged.
insert into ingest_status.ingest_status (
    file_name, table_name, state, file_size, file_version, dialect, loaded_bytes, loaded_lines,
    prefix_sha256, last_id, read, unchanged, actor, run, started_at, finished_at, dictionary,
    relation
) values (
    %(file_name)s, %(table_name)s, 'loaded', %(file_size)s, %(file_version)s, %(dialect)s,
    %(loaded_bytes)s, %(loaded_lines)s, %(prefix_sha256)s, %(last_id)s,
    %(read)s - %(rejected)s, %(read)s - %(rejected)s, %(actor)s, %(run)s,
    clock_timestamp(), clock_timestamp(), %(dictionary)s, %(relation)s
);
insert into ingest_status.record_hashes (file_id, version, first_byte, hashes)
select p.id, p.version, r.first_byte, r.hashes
from ingest_status.ingest_status as p, ingest_status.record_hashes as r
where p.file_name = %(file_name)s and r.file_id = %(id)s and r.version = %(version)s;

-- name: last_load
-- The load of a file's version that ended at a byte.
select id, xid::xid::text, first_byte, first_line, read, inserted, updated, unchanged, rejected
from ingest_status.loads
where source = 'file' and source_name = %(file_name)s and version = %(version)s
    and last_byte = %(last_byte)s
order by id desc limit 1;

-- name: delete_written
-- Delete the row, unchanged since, that a transaction has written; nothing if it has written more.
delete from {table}
where xmin = %(xid)s::xid and (select count(*) from {table} where xmin = %(xid)s::xid) = 1;

-- name: step_back
-- Set a file back to where one of its loads began, as if that had brought nothing.
delete from ingest_status.record_hashes as r using ingest_status.ingest_status as p
where p.file_name = %(file_name)s and r.file_id = p.id and r.version = %(version)s
    and r.first_byte >= %(first_byte)s;
update ingest_status.ingest_status set discarded = discarded - (
    select count(*) from ingest_status.rejected_rows
    where load_id = %(id)s and settled_as = 'discarded'
)
where file_name = %(file_name)s and version = %(version)s;
update ingest_status.rejected_rows
set settled_at = clock_timestamp(), settled_as = 'superseded'
where load_id = %(id)s and settled_at is null;
update ingest_status.loads
set read = 0, inserted = 0, updated = 0, unchanged = 0, rejected = 0, last_byte = first_byte
where id = %(id)s;
update ingest_status.ingest_status set
    loaded_bytes = %(first_byte)s, loaded_lines = %(first_line)s - 1,
    pass_bytes = least(pass_bytes, %(first_byte)s),
    prefix_sha256 = %(prefix_sha256)s, read = read - %(read)s, inserted = inserted - %(inserted)s,
    unchanged = unchanged - %(unchanged)s, rejected = rejected - %(rejected)s
where file_name = %(file_name)s and version = %(version)s;

-- name: restart
-- Set the position of a rewritten file back to the first byte, as its next version.
update ingest_status.ingest_status set
    version = version + 1, dialect = %(dialect)s, loaded_bytes = 0, loaded_lines = 0, pass_bytes = 0,
    prefix_sha256 = %(nothing)s, last_id = null,
    read = 0, inserted = 0, updated = 0, unchanged = 0, rejected = 0, discarded = 0, vanished = 0
where file_name = %(file_name)s
returning *;

-- name: move
-- Move the position, in the transaction of the rows that it counts.
update ingest_status.ingest_status set
    loaded_bytes = %(loaded_bytes)s,
    loaded_lines = %(loaded_lines)s,
    prefix_sha256 = %(prefix_sha256)s,
    last_id = greatest(last_id, %(last_id)s),
    read = read + %(read)s,
    inserted = inserted + %(inserted)s,
    updated = updated + %(updated)s,
    unchanged = unchanged + %(unchanged)s,
    rejected = rejected + %(rejected)s
where file_name = %(file_name)s and loaded_bytes = %(from_bytes)s and version = %(version)s
returning *;

-- name: finish
-- Record that a pass has ended; the records of earlier versions are of no more use. If there was
-- nothing to load, an unloaded file stays unloaded.
delete from ingest_status.record_hashes as r using ingest_status.ingest_status as p
where p.file_name = %(file_name)s and r.file_id = p.id and r.version < p.version;
update ingest_status.ingest_status set
    state = case when unloaded_from is null then 'loaded' else 'unloaded' end,
    file_size = %(file_size)s, file_version = %(file_version)s,
    vanished = vanished + %(vanished)s, error = null, finished_at = clock_timestamp()
where file_name = %(file_name)s
returning *;

-- name: fail
-- Record that a file could not be loaded, or belongs to no table; rows already loaded are kept.
insert into ingest_status.ingest_status as p
    (file_name, table_name, state, file_size, file_version, error, actor, run, finished_at,
    dictionary)
values (
    %(file_name)s, %(table_name)s, %(state)s, %(file_size)s, %(file_version)s, %(error)s,
    %(actor)s, %(run)s, clock_timestamp(), %(dictionary)s
)
on conflict (file_name) do update set
    table_name = case when p.loaded_bytes = 0 then excluded.table_name else p.table_name end,
    pass_bytes = case when p.state = 'loaded' then p.loaded_bytes else p.pass_bytes end,
    -- of another table than that of the rows, it says nothing about these
    dictionary = case
        when p.loaded_bytes = 0 or p.table_name = excluded.table_name then excluded.dictionary
    end,
    state = excluded.state, file_size = excluded.file_size,
    file_version = excluded.file_version, error = excluded.error, actor = excluded.actor,
    run = excluded.run, finished_at = excluded.finished_at;

-- name: transactions_of_versions
-- The transactions in which versions of a file wrote rows, including rows judged again later.
select xid::xid::text from ingest_status.loads
where source in ('file', 'retry') and source_name = %(file_name)s
    and version between %(first_version)s and %(last_version)s;

-- name: transactions_of_pass
-- The transactions in which the present pass over a file has written rows, from a byte on.
select xid::xid::text from ingest_status.loads
where source = 'file' and source_name = %(file_name)s and version = %(version)s
    and first_byte >= %(pass_bytes)s;

-- name: vanished
-- Rows that earlier versions of a file wrote, unchanged since, and that it no longer has, not even
-- as a row that was refused.
select jsonb_build_array({key})::text, count(*) over ()
from {table} as t
where t.xmin = any(%(earlier)s::text[]::xid[])
    and not exists (select from pg_temp.seen as e where {joined})
    and not exists (
        select from ingest_status.rejected_rows as q
        where q.source = 'file' and q.source_name = %(file_name)s and q.version = %(version)s
            and {refused}
    )
    and {differ}
order by {key}
limit %(most)s;

-- name: any_left
-- Whether the table has rows, unchanged since, that were written by some transactions.
select exists (select from {table} as t where t.xmin = any(%(own)s::text[]::xid[]));

-- fragment: refused_key
-- A refused row has the key of the row t of the table, as text.
q.fields ->> {field} = t.{column}::text

-- fragment: differ
-- Whether any row may have vanished: if the earlier rows and the equal ones have the same count and
-- sum of hashes, none has, which is usual and faster to find out than searching for each row.
(
    select (count(*), sum(hashint8extended(t.{column}, %(seed)s)))
    from {table} as t where t.xmin = any(%(earlier)s::text[]::xid[])
) is distinct from (select (count(*), sum(hashint8extended(k0, %(seed)s))) from pg_temp.seen)
