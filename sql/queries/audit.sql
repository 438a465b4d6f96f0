-- The audit: every write over HTTP.

-- name: record
-- Who changed a table, and its rows before and after.
insert into rowboat.audit (actor, request, action, table_name, before, after)
values (
    %(actor)s, %(request)s, %(action)s, %(table)s, {before}::json, {after}::json
);

-- name: before
-- The rows of the table that good rows of the stage will change.
select coalesce(json_agg(row_to_json(t) order by s.n), '[]')::text
from pg_temp.match as s
join {table} as t on t.tableoid = s.home and t.ctid = s.place
where not s.same and not exists (select from pg_temp.verdict as v where v.n = s.n);

-- name: after
-- Good rows of the stage as they went into the table.
(
    select coalesce(json_agg(row_to_json({as_made}) order by s.n), '[]')
    from pg_temp.stage as s {beside}
    where not exists (select from pg_temp.verdict as v where v.n = s.n)
        and not exists (select from pg_temp.match as m where m.n = s.n and (m.same or not {updates}))
)

-- name: as_staged
-- A row of the stage, where the table has just these values.
(select r from (select {values}) as r)

-- name: beside
-- The row of the table that has the key of the row of the stage.
join {table} as t on {joined}

-- name: as_kept
-- That row.
t
