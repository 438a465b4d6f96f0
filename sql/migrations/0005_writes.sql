-- How often each table was written: two reads that see the same number see the same rows.
-- migrate:up
create table rowboat.writes (
    relation oid not null,
    times bigint not null default 1
);
comment on table rowboat.writes is
    'The statements that wrote to each table, to be added up: whoever sees the rows of a write sees it here too. '
    'Writers only insert, so none waits for another.';

create function rowboat.written() returns trigger language plpgsql security definer
set search_path = pg_catalog, pg_temp as $$
begin
    insert into rowboat.writes (relation) values (tg_relid);
    return null;
end
$$;
comment on function rowboat.written() is
    'Counts a statement; fires where session_replication_role is replica too. `rowboat migrate` gives it to every managed table.';

create function rowboat.add_up_writes() returns void language plpgsql security definer
set search_path = pg_catalog, pg_temp as $$
begin
    if pg_try_advisory_xact_lock(hashtextextended('rowboat.writes', 0)) then
        with gone as (delete from rowboat.writes returning relation, times)
        insert into rowboat.writes (relation, times)
        select g.relation, sum(g.times) from gone as g
        join pg_class as c on c.oid = g.relation
        group by g.relation;
    end if;
end
$$;
comment on function rowboat.add_up_writes() is
    'Leaves one row for each table; the sums stay as they are in the eyes of every reader.';

create trigger rowboat_written after insert or update or delete on ingest_status.rejected_rows
for each statement execute function rowboat.written();
alter table ingest_status.rejected_rows enable always trigger rowboat_written;

-- migrate:down
drop function rowboat.written() cascade;
drop function rowboat.add_up_writes();
drop table rowboat.writes;
