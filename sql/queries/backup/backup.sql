-- Taking backups, and their records.

-- name: lock_shelf
-- Become the only writer of the shelf; the lock is also released at the end of the session.
select pg_advisory_lock(hashtext('rowboat.shelf'));

-- name: try_lock_shelf
-- Try to take the same lock until the transaction ends; false if another session has it.
select pg_try_advisory_xact_lock(hashtext('rowboat.shelf'));

-- name: unlock_shelf
-- Release the lock of the shelf.
select pg_advisory_unlock(hashtext('rowboat.shelf'));

-- name: hold
-- Prevent changes of the columns of tables until the transaction ends; rows can be written.
lock table {tables} in access share mode;

-- name: moment
-- The snapshot of the transaction, the time, and the version of the server.
select
    pg_current_snapshot()::text, statement_timestamp(),
    split_part(current_setting('server_version'), ' ', 1);

-- name: hides_rows
-- Whether row security applies, so that this role may not see every row.
select row_security_active({table}::regclass);

-- name: estimate
-- The estimated number of rows to read.
{family}

select coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint
from family as f
join pg_class as c on c.oid = f.id
where c.relkind <> 'p';

-- name: last_id
-- The greatest value of a column.
select max({column}) from {table};

-- name: record
-- Record one table of a set, after its files have been written to the shelf.
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
-- All recorded tables of sets, oldest first.
select
    set_name, table_name, file_name, number_rows, last_id, bytes, sha256, row_digest,
    schema_hash, taken_at, verified_at, drilled_at, pinned, purpose, suspicion
from backup_status.backup_status
order by taken_at, set_name, table_name;

-- name: earlier_rows
-- The number of rows of each table in the last backup before a set.
select distinct on (table_name) table_name, number_rows
from backup_status.backup_status
where
    table_name = any(%(tables)s) and purpose = 'backup'
    and (taken_at, set_name) < (%(taken_at)s::timestamptz, %(set)s)
order by table_name, taken_at desc, set_name desc;

-- name: verified
-- Record that a set has been verified, or that it is no longer whole.
update backup_status.backup_status
set verified_at = case when %(ok)s then clock_timestamp() end
where set_name = %(set)s;

-- name: drilled
-- Record that a set has been restored on trial.
update backup_status.backup_status set drilled_at = clock_timestamp() where set_name = %(set)s;

-- name: pin
-- Pin or unpin a set.
update backup_status.backup_status set pinned = %(pinned)s where set_name = %(set)s;

-- name: forget
-- Delete the record of a set.
delete from backup_status.backup_status where set_name = %(set)s;
