-- Parts of a large file, staged by tasks of their own: a table for each.

-- name: alone
-- Two that stage the same part do so one after the other.
select pg_advisory_xact_lock(hashtextextended('rowboat.part.' || %(name)s, 0));

-- name: make
-- A part's table, empty; what was there before was the same part or an outdated one.
drop table if exists {part};
create unlogged table {part} (n integer, {columns}, verdicts jsonb) with (autovacuum_enabled = false);

-- name: add
-- Rows of the stage, each with what it showed by itself.
insert into {part} (n, {cells}, verdicts)
select s.n + %(before)s, {cells}, v.verdicts
from pg_temp.stage as s
left join (
    select n as row, jsonb_agg(to_jsonb(f) - 'n' order by place) as verdicts
    from pg_temp.verdict as f group by n
) as v on v.row = s.n;

-- name: seal
-- The part is whole: rows can be found by number, and the comment tells what it was made of.
create index on {part} (n);
comment on table {part} is {facts};

-- name: lying
-- The parts of a file, with what they were made of.
select obj_description(oid, 'pg_class')::jsonb from pg_class
where relnamespace = to_regnamespace('rowboat_parts') and relkind = 'r'
    and starts_with(relname, %(file)s);

-- name: drop
-- Parts that have been loaded.
drop table if exists {parts};

-- name: sweep
-- Drop what dead runs left; what is in use stays.
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
