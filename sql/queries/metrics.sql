-- Metrics: what is true of the tables that they read.

-- name: begin
-- Nothing is written from here on. When is it, and which version is seen of these tables and of the
-- quarantine?
-- A write counts itself in its own transaction and counts only grow, so an equal sum is an equal set
-- of visible writes. A rewritten or truncated table has another file, a trigger that was off another
-- xmin. A table that does not count has no better version than the snapshot: whoever is to become
-- visible later is in progress in it or beyond its xmax. Views and foreign tables have none.
set transaction read only;
with recursive family (id) as (
    select to_regclass(format('%%I.%%I', split_part(name, '.', 1), split_part(name, '.', 2)))::oid
    from unnest(%(tables)s::text[] || 'ingest_status.rejected_rows'::text) as name
    union
    select i.inhrelid from family as f join pg_inherits as i on i.inhparent = f.id
)
select
    statement_timestamp() as as_of,
    case
        when bool_and(t.oid is not null) then string_agg(
            concat_ws(' ', c.oid, c.relfilenode, t.xmin, w.times), ',' order by c.oid
        )
        when bool_and(c.relkind in ('r', 'p', 'm')) then pg_current_snapshot()::text
    end as version,
    coalesce(sum(w.pieces), 0)::bigint as pieces
from family as f
left join pg_class as c on c.oid = f.id
left join pg_trigger as t
    on t.tgrelid = f.id and t.tgname = 'rowboat_written' and t.tgenabled = 'A'
left join (
    select relation, sum(times) as times, count(*) as pieces
    from rowboat.writes group by relation
) as w on w.relation = f.id;

-- name: add_up_writes
-- Many counts become one for each table.
select rowboat.add_up_writes();

-- name: years
-- The years in a column of times, the latest first; infinite times are of none.
select year from (
    select distinct date_part('year', {column})::integer as year from {table} where isfinite({column})
) as found
where year between coalesce(%(least)s, year) and coalesce(%(most)s, year)
order by year desc;

-- name: left_out
-- Open refused rows of some tables.
select name, (
    select count(*) from ingest_status.rejected_rows as q
    where q.table_name = name and q.settled_at is null
) as rows
from unnest(%(tables)s::text[]) with ordinality as t (name, place)
order by place;
