-- Checks of a database, made by the role that is to use it.

-- name: server
-- Version, role, whether the server is a standby, and its clock.
select
    split_part(current_setting('server_version'), ' ', 1), current_user, pg_is_in_recovery(),
    clock_timestamp();

-- name: is_migrated
-- Whether the first migration has run; asked of the catalog, as the role may not read the record.
select exists (
    select from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = 'rowboat' and c.relname = 'migrations'
);

-- name: rights
-- Role, database, whether the role may stage rows and disable row triggers, and tables that it may not use.
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
