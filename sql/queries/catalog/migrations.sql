-- The record of the schema's migrations.

-- name: lock
-- Let one process migrate at a time; the session holds the lock across its transactions.
select pg_advisory_lock(hashtextextended('rowboat.migrations', 0));

-- name: unlock
-- Let the next process migrate.
select pg_advisory_unlock(hashtextextended('rowboat.migrations', 0));

-- name: place
-- Return the role, the database, whether the role may create schemas, who owns the table of
-- records, and whether the role belongs to that owner.
select
    current_user, current_database(), has_database_privilege(current_database(), 'create'),
    pg_get_userbyid(c.relowner), pg_has_role(c.relowner, 'usage')
from (select) as here
left join (
    pg_class as c join pg_namespace as n
        on n.oid = c.relnamespace and n.nspname = 'rowboat' and c.relname = 'migrations'
) on true;

-- name: prepare
-- Create the table of records, before the first migration.
create schema if not exists rowboat;
create table if not exists rowboat.migrations (
    number integer primary key,
    name text not null,
    digest text not null,
    applied_at timestamptz not null default now()
);

-- name: applied
-- Return the migrations that the database has.
select number, digest from rowboat.migrations order by number;

-- name: since
-- Return when the first migration was applied.
select min(applied_at) from rowboat.migrations;

-- name: record
-- Record that a migration was applied.
insert into rowboat.migrations (number, name, digest)
values (%(number)s, %(name)s, %(digest)s);

-- name: forget
-- Record that a migration was rolled back.
delete from rowboat.migrations where number = %(number)s;

-- name: uncounted
-- Return the tables and partitions of these schemas whose writes are not counted yet, if this role
-- owns them.
select n.nspname, c.relname
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where n.nspname = any(%(schemas)s) and c.relkind in ('r', 'p') and c.relpersistence = 'p'
    and pg_has_role(c.relowner, 'usage') and to_regproc('rowboat.written') is not null
    and not exists (
        select from pg_trigger as t
        where t.tgrelid = c.oid and t.tgname = 'rowboat_written' and t.tgenabled = 'A'
    )
order by 1, 2;

-- name: count_writes
-- Count every statement that writes to a table, even if its row triggers do not fire.
create or replace trigger rowboat_written after insert or update or delete on {table}
for each statement execute function rowboat.written();
alter table {table} enable always trigger rowboat_written;

-- name: roles
-- Return the working roles that this cluster has.
select rolname from pg_roles
where rolname in ('rowboat_loader', 'rowboat_api', 'rowboat_reader');
