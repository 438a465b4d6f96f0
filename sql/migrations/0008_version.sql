-- The version of tables, asked before each answer of a metric: as a function its plan is kept.
-- migrate:up
create function rowboat.version_of(
    wanted text[], out as_of timestamptz, out version text, out pieces bigint
) language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
    with recursive family (id) as (
        select to_regclass(format('%I.%I', split_part(name, '.', 1), split_part(name, '.', 2)))::oid
        from unnest(wanted || 'ingest_status.rejected_rows'::text) as name
        union
        select i.inhrelid from family as f join pg_inherits as i on i.inhparent = f.id
    )
    select
        statement_timestamp(),
        case
            when bool_and(t.oid is not null) then string_agg(
                concat_ws(' ', c.oid, c.relfilenode, t.xmin, w.times), ',' order by c.oid
            )
            when bool_and(c.relkind in ('r', 'p', 'm')) then pg_current_snapshot()::text
        end,
        coalesce(sum(w.pieces), 0)::bigint
    into as_of, version, pieces
    from family as f
    left join pg_class as c on c.oid = f.id
    left join pg_trigger as t
        on t.tgrelid = f.id and t.tgname = 'rowboat_written' and t.tgenabled = 'A'
    left join (
        select relation, sum(times) as times, count(*) as pieces
        from rowboat.writes group by relation
    ) as w on w.relation = f.id;
end
$$;
comment on function rowboat.version_of(text[]) is
    'When it is, and which version is seen of tables and of the quarantine. A write counts itself in its own '
    'transaction and counts only grow, so an equal sum is an equal set of visible writes. A rewritten or '
    'truncated table has another file, a trigger that was off another xmin. A table that does not count has no '
    'better version than the snapshot: whoever is to become visible later is in progress in it or beyond its '
    'xmax. Views and foreign tables have none.';

-- migrate:down
drop function rowboat.version_of(text[]);
