-- The audit: every write over HTTP.

-- name: record
-- Record who changed a table, with the rows before and after.
insert into rowboat.audit (actor, request, action, table_name, before, after)
values (
    %(actor)s, %(request)s, %(action)s, %(table)s, {before}::json, {after}::json
);

-- name: before
-- The rows of the table that staged rows without a verdict will update.
select coalesce(json_agg(row_to_json(t) order by s.n), '[]')::text
from pg_temp.match as s
join {table} as t on t.tableoid = s.home and t.ctid = s.place
where not s.same and not exists (select from pg_temp.verdict as v where v.n = s.n);

-- fragment: after
-- Staged rows without a verdict, as they are in the table after the merge.
(
    select coalesce(json_agg(r.* order by s.n), '[]')
    from pg_temp.stage as s {beside}
    where {good} and {written}
)

-- fragment: written
-- The merge has written the row: the table did not have an equal one.
not exists (select from pg_temp.match as m where m.n = s.n and (m.same or not {updates}))

-- fragment: as_staged
-- The staged values, if the table stores exactly those.
cross join lateral (select {values}) as r

-- fragment: as_kept
-- The row of the table with the same key.
join {table} as r on {joined}

-- name: entries
-- Entries that match a search, newest first, from the one after the last one seen. Of an entry with
-- more than `few` rows only the first ones, as they were after it, or before it if it deleted them.
select
    a.id, a.at, a.actor, k.name, a.request, a.action, a.table_name,
    a.rows_before, a.rows_after,
    case
        when greatest(a.rows_before, a.rows_after) <= coalesce(%(few)s, 2147483647) then a.before::text
        when a.rows_after > 0 then '[]'
        else (
            select json_agg(r.kept order by r.n)::text
            from json_array_elements(a.before) with ordinality as r (kept, n) where r.n <= %(few)s
        )
    end as before,
    case
        when greatest(a.rows_before, a.rows_after) <= coalesce(%(few)s, 2147483647) then a.after::text
        when a.rows_after = 0 then '[]'
        else (
            select json_agg(r.kept order by r.n)::text
            from json_array_elements(a.after) with ordinality as r (kept, n) where r.n <= %(few)s
        )
    end as after
from (
    select * from rowboat.audit
    where (%(id)s::bigint is null or id = %(id)s)
        and (%(tables)s::text[] is null or table_name = any(%(tables)s))
        and (%(table)s::text is null or table_name = %(table)s)
        and (%(actor)s::text is null or actor = %(actor)s)
        and (%(action)s::text is null or action = %(action)s)
        and (%(since)s::date is null or at >= %(since)s::date)
        and (%(until)s::date is null or at < %(until)s::date + 1)
        and (
            %(after)s::bigint is null
            or (at, id) < (select l.at, l.id from rowboat.audit as l where l.id = %(after)s)
        )
    order by at desc, id desc
    limit %(limit)s
) as a
left join rowboat.keys as k on k.id = a.actor
order by a.at desc, a.id desc;
