-- What `rowboat status` shows.

-- name: estimate
-- About how many rows a table has; -1 where Postgres does not know yet.
select greatest(sum(c.reltuples), -1)::bigint
from pg_partition_tree({table}::regclass) as p
join pg_class as c on c.oid = p.relid
where p.isleaf;

-- name: count
-- How many rows a table has.
select count(*) from {table};

-- name: quarantine
-- Open refused rows by table.
select table_name, count(*) as open from ingest_status.rejected_rows
where settled_at is null group by table_name;

-- name: newest_backup
-- The newest set of backups, and how long ago a set was last restored on trial.
select
    set_name, taken_at, bool_and(verified_at is not null) as verified,
    extract(epoch from now() - taken_at)::float as age,
    extract(epoch from now() - (
        select max(drilled_at) from backup_status.backup_status
    ))::float as drilled_age
from backup_status.backup_status
where purpose = 'backup'
group by set_name, taken_at order by taken_at desc limit 1;
