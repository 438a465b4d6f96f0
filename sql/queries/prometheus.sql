-- Numbers that the database contributes to /metrics.

-- name: read
-- One row: files by state, age of the oldest unfinished load, rows in quarantine, age of the newest
-- backup whose files are all verified, time since the last drill (without one, since the database
-- was created), connections of the server. Ages are in seconds.
select
    f.*,
    (
        select count(*) from ingest_status.rejected_rows where settled_at is null
    ) as quarantine_rows,
    (
        select extract(epoch from now() - max(s.taken_at))::float
        from (
            select taken_at from backup_status.backup_status
            where purpose = 'backup'
            group by set_name, taken_at having bool_and(verified_at is not null)
        ) as s
    ) as backup_age_seconds,
    extract(epoch from now() - coalesce(
        (select max(drilled_at) from backup_status.backup_status),
        (select min(applied_at) from rowboat.migrations)
    ))::float as drill_age_seconds,
    (select sum(numbackends) from pg_stat_database)::int as database_connections,
    current_setting('max_connections')::int as database_connections_limit
from (
    select
        count(*) filter (where state = 'loading') as loading,
        count(*) filter (where state = 'loaded') as loaded,
        count(*) filter (where state = 'failed') as failed,
        count(*) filter (where state = 'unmatched') as unmatched,
        count(*) filter (where state = 'unloaded') as unloaded,
        coalesce(extract(epoch from now() - min(coalesce(started_at, finished_at)) filter (
            where state in ('loading', 'failed')
        )), 0)::float as ingest_lag_seconds
    from ingest_status.ingest_status
) as f;
