-- What a database is good for, asked by the role that is to use it.

-- name: server
-- Version, role, whether it is a standby, clock.
select
    split_part(current_setting('server_version'), ' ', 1), current_user, pg_is_in_recovery(),
    clock_timestamp();

-- name: is_migrated
-- Whether the first migration has run, whoever may read its record.
select exists (
    select from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = 'rowboat' and c.relname = 'migrations'
);

-- name: rights
-- The role; where it is; whether it may stage rows and keep row triggers from firing; what it may not use.
select
    current_user, current_database(),
    has_database_privilege(current_database(), 'temporary'),
    has_parameter_privilege('session_replication_role', 'set'),
    array(
        select name from unnest(%(tables)s::text[] || 'ingest_status.loads'::text) as name
        where not has_table_privilege(name, 'select') or not has_table_privilege(name, 'insert')
            or name <> 'ingest_status.loads' and not (
                has_table_privilege(name, 'update') and has_table_privilege(name, 'delete')
            )
    );
