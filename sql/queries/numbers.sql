-- What Prometheus is told of the database.

-- name: read
-- Seconds since the newest backup that is verified as a whole, and open refused rows.
select
    (
        select extract(epoch from now() - max(s.taken_at))::float
        from (
            select taken_at from backup_status.backup_status
            where purpose = 'backup'
            group by set_name, taken_at having bool_and(verified_at is not null)
        ) as s
    ) as backup_age_seconds,
    (
        select count(*) from ingest_status.rejected_rows where settled_at is null
    ) as quarantine_rows;
