-- Parts of a large file, staged by separate tasks: one table per part.

-- name: alone
-- Let tasks that stage the same part wait for each other.
select pg_advisory_xact_lock(hashtextextended('rowboat.part.' || %(name)s, 0));

-- name: make
-- Create the empty table of a part; an older one is of the same part or out of date.
drop table if exists {part};
create unlogged table {part} (n integer, {columns}, verdicts jsonb) with (autovacuum_enabled = false);

-- name: add
-- Add the rows of the stage, each with the verdicts that need no other row.
insert into {part} (n, {cells}, verdicts)
select s.n + %(before)s, {cells}, v.verdicts
from pg_temp.stage as s
left join (
    select n as row, jsonb_agg(to_jsonb(f) - 'n' order by place) as verdicts
    from pg_temp.verdict as f group by n
) as v on v.row = s.n;

-- name: seal
-- Complete a part: index its rows by number, and record in its comment what it was made from.
create index on {part} (n);
comment on table {part} is {facts};

-- name: staged
-- The parts of a file, with what each was made from.
select obj_description(oid, 'pg_class')::jsonb from pg_class
where relnamespace = to_regnamespace('rowboat_parts') and relkind = 'r'
    and starts_with(relname, %(file)s);

-- name: drop
-- Drop parts that have been loaded.
drop table if exists {parts};

-- name: sweep
-- Drop all parts that dead runs left; the lock timeout spares those in use.
do $$
declare
    part regclass;
begin
    set local lock_timeout = '100ms';
    for part in
        select oid from pg_class
        where relnamespace = to_regnamespace('rowboat_parts') and relkind = 'r'
    loop
        begin
            execute format('drop table %%s', part);
        exception
            when lock_not_available or undefined_table then null;
        end;
    end loop;
end $$;
