-- Taking backups and keeping the record of them.

-- name: lock_shelf
-- One writer of the shelf at a time; the end of the session frees it too.
select pg_advisory_lock(hashtext('rowboat.shelf'));

-- name: try_lock_shelf
-- The same lock, until the transaction ends; false where another session has it.
select pg_try_advisory_xact_lock(hashtext('rowboat.shelf'));

-- name: unlock_shelf
-- Let the next writer in.
select pg_advisory_unlock(hashtext('rowboat.shelf'));

-- name: hold
-- Keep the tables' columns as they are until the transaction ends; readers and writers go on.
lock table {tables} in access share mode;

-- name: moment
-- The transactions that this snapshot sees, the time, the server.
select
    pg_current_snapshot()::text, statement_timestamp(),
    split_part(current_setting('server_version'), ' ', 1);

-- name: hides_rows
-- Whether row security applies, so that this role may not see every row.
select row_security_active({table}::regclass);

-- name: estimate
-- About how many rows there are to read.
{family}

select coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint
from family as f
join pg_class as c on c.oid = f.id
where c.relkind <> 'p';

-- name: last_id
-- The greatest id.
select max({column}) from {table};

-- name: record
-- One table of a set; last of all, when its file is safe on the shelf.
insert into backup_status.backup_status (
    set_name, table_name, file_name, number_rows, last_id, bytes, sha256, row_digest,
    schema_hash, snapshot, taken_at, purpose, pinned, suspicion
)
values (
    %(set)s, %(table)s, %(file)s, %(rows)s, %(last_id)s, %(bytes)s, %(sha256)s, %(digest)s,
    %(schema_hash)s, %(snapshot)s, %(taken_at)s, %(purpose)s, %(pinned)s, %(suspicion)s
)
on conflict (set_name, table_name) do nothing;

-- name: recorded
-- Every copy on record, oldest first.
select
    set_name, table_name, file_name, number_rows, last_id, bytes, sha256, row_digest,
    schema_hash, taken_at, verified_at, drilled_at, pinned, purpose, suspicion
from backup_status.backup_status
order by taken_at, set_name, table_name;

-- name: earlier_rows
-- How many rows each table had in the last backup before a set.
select distinct on (table_name) table_name, number_rows
from backup_status.backup_status
where
    table_name = any(%(tables)s) and purpose = 'backup'
    and (taken_at, set_name) < (%(taken_at)s::timestamptz, %(set)s)
order by table_name, taken_at desc, set_name desc;

-- name: verified
-- A set was read back whole, or can no longer be.
update backup_status.backup_status
set verified_at = case when %(ok)s then clock_timestamp() end
where set_name = %(set)s;

-- name: drilled
-- A set was restored on trial.
update backup_status.backup_status set drilled_at = clock_timestamp() where set_name = %(set)s;

-- name: pin
-- Keep a set, or let it go when its time comes.
update backup_status.backup_status set pinned = %(pinned)s where set_name = %(set)s;

-- name: forget
-- A set that leaves the shelf.
delete from backup_status.backup_status where set_name = %(set)s;
