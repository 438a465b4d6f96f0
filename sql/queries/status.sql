-- Values for `rowboat status`.

-- name: quarantine
-- Open rejected rows by table.
select table_name, count(*) as open from ingest_status.rejected_rows
where settled_at is null group by table_name;

-- name: newest_backup
-- The newest set, and seconds since the last drill of any set.
select
    set_name, taken_at, bool_and(verified_at is not null) as verified,
    extract(epoch from now() - taken_at)::float as age,
    extract(epoch from now() - (
        select max(drilled_at) from backup_status.backup_status
    ))::float as drilled_age
from backup_status.backup_status
where purpose = 'backup'
group by set_name, taken_at order by taken_at desc limit 1;
