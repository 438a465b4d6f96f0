-- merge.hold
-- Keep other writers from changing the parents until the transaction ends.
lock table "hired_employees"."departments", "hired_employees"."jobs" in share mode;

-- merge.skip_triggers
-- For this transaction only: the judge has checked the parents of all rows at once.
set local session_replication_role = replica;

-- stage.is_built
-- Return whether the session already has the tables for rows of this form.
select coalesce(obj_description(to_regclass('pg_temp.stage'), 'pg_class') = '"c0" text, "c1" text, "c2" text, "c3" text, "c4" text, "v0" integer, "v2" timestamp with time zone, "v3" integer, "v4" integer, "k0" integer', false);

-- stage.build
-- Make the tables for rows of this form; they last as long as the session.
drop table if exists
    pg_temp.stage, pg_temp.rest, pg_temp.verdict, pg_temp.match, pg_temp.refused, pg_temp.seen;
create temporary table stage (
    n integer generated always as identity (cache 10000),
    "c0" text, "c1" text, "c2" text, "c3" text, "c4" text, "v0" integer, "v2" timestamp with time zone, "v3" integer, "v4" integer
);
create temporary table rest (like stage including identity);
create temporary table verdict (
    n integer, place integer, rule text, column_name text, message text
);
create temporary table match (
    n integer, same boolean, overtaken boolean, own boolean, previous bigint, home oid, place tid, "k0" integer
);
create temporary table refused (
    n integer, line bigint, raw bytea, reasons jsonb, rejected_id bigint
);
create temporary table seen ("k0" integer);
comment on table pg_temp.stage is '"c0" text, "c1" text, "c2" text, "c3" text, "c4" text, "v0" integer, "v2" timestamp with time zone, "v3" integer, "v4" integer, "k0" integer';
comment on table pg_temp.rest is '"c0" text, "c1" text, "c2" text, "c3" text, "c4" text, "v0" integer, "v2" timestamp with time zone, "v3" integer, "v4" integer, "k0" integer';

-- stage.clear
-- Make room for the next cargo, and forget what was found about the last one. Truncating an empty
-- table costs as much as truncating a full one, so empty ones are skipped.
truncate pg_temp.stage restart identity;
do $$ begin
    if exists (select from pg_temp.verdict) then truncate pg_temp.verdict; end if;
    if exists (select from pg_temp.match) then truncate pg_temp.match; end if;
    if exists (select from pg_temp.refused) then truncate pg_temp.refused; end if;
end $$;

-- stage.fill_csv
-- Copy rows in; an unquoted empty field is NULL, a quoted one an empty text.
copy pg_temp.stage ("c0", "c1", "c2", "c3", "c4") from stdin (
    format csv, delimiter ',', encoding 'UTF8', force_null ("c0", "c2", "c3", "c4")
);

-- stage.think_in_sets
-- The stage has no statistics: `off` keeps the planner from looking up the rows of a large one one
-- by one.
set local enable_nestloop = off;

-- judge.cells
-- Refuse empty cells of required columns, and cells that are no value of their type. One pass over
-- the stage: only odd rows get to the list of reasons.
with s as (
    update pg_temp.stage as s set "c0" = (select case when tidy.cell = '' then null when ((pg_input_is_valid("tidy"."cell", 'integer')) and ("tidy"."cell" ~ '^[-+]?[0-9]+$')) then tidy.cell else "s"."c0" end from (values (regexp_replace(btrim("s"."c0", E' \t\n\r\f\x0B\u00A0'), '^([-+]?[0-9]+)\.0*$', '\1'))) as tidy (cell)),
    "c2" = (select case when tidy.cell = '' then null when ((pg_input_is_valid("tidy"."cell", 'timestamp with time zone')) and (("tidy"."cell" like '____-__-__T__:__:__Z' and translate("tidy"."cell", '0123456789', '') = '--T::Z'
    and "tidy"."cell" not like '%T24:%' and "tidy"."cell" not like '%:60Z')
or "tidy"."cell" ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ]([013-9][0-9]|2[0-35-9]):[0-9]{2}(:([0-57-9][0-9]|6[1-9])(\.[0-9]{0,6}0*)?)?(Z|[-+][0-9]{2}(:?[0-9]{2})?)?)?$')) then tidy.cell else "s"."c2" end from (values (btrim("s"."c2", E' \t\n\r\f\x0B\u00A0'))) as tidy (cell)),
    "c3" = (select case when tidy.cell = '' then null when ((pg_input_is_valid("tidy"."cell", 'integer')) and ("tidy"."cell" ~ '^[-+]?[0-9]+$')) then tidy.cell else "s"."c3" end from (values (regexp_replace(btrim("s"."c3", E' \t\n\r\f\x0B\u00A0'), '^([-+]?[0-9]+)\.0*$', '\1'))) as tidy (cell)),
    "c4" = (select case when tidy.cell = '' then null when ((pg_input_is_valid("tidy"."cell", 'integer')) and ("tidy"."cell" ~ '^[-+]?[0-9]+$')) then tidy.cell else "s"."c4" end from (values (regexp_replace(btrim("s"."c4", E' \t\n\r\f\x0B\u00A0'), '^([-+]?[0-9]+)\.0*$', '\1'))) as tidy (cell))
    where "s"."c0" is null
    or ("s"."c0" is not null and not ((pg_input_is_valid("s"."c0", 'integer')) and ("s"."c0" ~ '^[-+]?[0-9]+$')))
    or "s"."c1" is null
    or "s"."c2" is null
    or ("s"."c2" is not null and not ((pg_input_is_valid("s"."c2", 'timestamp with time zone')) and (("s"."c2" like '____-__-__T__:__:__Z' and translate("s"."c2", '0123456789', '') = '--T::Z'
    and "s"."c2" not like '%T24:%' and "s"."c2" not like '%:60Z')
or "s"."c2" ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ]([013-9][0-9]|2[0-35-9]):[0-9]{2}(:([0-57-9][0-9]|6[1-9])(\.[0-9]{0,6}0*)?)?(Z|[-+][0-9]{2}(:?[0-9]{2})?)?)?$')))
    or "s"."c3" is null
    or ("s"."c3" is not null and not ((pg_input_is_valid("s"."c3", 'integer')) and ("s"."c3" ~ '^[-+]?[0-9]+$')))
    or "s"."c4" is null
    or ("s"."c4" is not null and not ((pg_input_is_valid("s"."c4", 'integer')) and ("s"."c4" ~ '^[-+]?[0-9]+$')))
    returning s.*
)
insert into pg_temp.verdict (n, place, rule, column_name, message)
select s.n, r.place, r.rule, r.column_name, r.message
from s
cross join lateral (values
    (0, 'required', 'id'::text, 'id is empty', "s"."c0" is null),
    (1, 'type', 'id'::text, '''' || left("s"."c0", 80) || case when length("s"."c0") > 80 then '…' else '' end || ''' '
    || case when not true then 'is more than integer holds' else case
    when "s"."c0" ~ '^[-+]?[0-9]+$' then 'is out of the range of integer'
    else 'is not an integer'
end end, ("s"."c0" is not null and not ((pg_input_is_valid("s"."c0", 'integer')) and ("s"."c0" ~ '^[-+]?[0-9]+$')))),
    (5, 'required', 'employee_name'::text, 'employee_name is empty', "s"."c1" is null),
    (10, 'required', 'hired_date'::text, 'hired_date is empty', "s"."c2" is null),
    (11, 'type', 'hired_date'::text, '''' || left("s"."c2", 80) || case when length("s"."c2") > 80 then '…' else '' end || ''' '
    || case when not true then 'is more than timestamp with time zone holds' else case
    when ("s"."c2" like '____-__-__T__:__:__Z' and translate("s"."c2", '0123456789', '') = '--T::Z'
    and "s"."c2" not like '%T24:%' and "s"."c2" not like '%:60Z')
or "s"."c2" ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ]([013-9][0-9]|2[0-35-9]):[0-9]{2}(:([0-57-9][0-9]|6[1-9])(\.[0-9]{0,6}0*)?)?(Z|[-+][0-9]{2}(:?[0-9]{2})?)?)?$' then 'is not a day of the calendar'
    when "s"."c2" ~ '^\s*[0-9]{1,2}[-./ ][0-9]{1,2}[-./ ][0-9]{2}'
    then 'is not an ISO 8601 timestamp' || ': write the year first, as in 2018-03-31'
    when "s"."c2" ~ '[T ]24:' then 'has hour 24: write 00:00 of the next day'
    when "s"."c2" ~ ':[0-9]{2}:60' then 'has second 60: write second 59 or the next minute'
    when "s"."c2" ~ '[0-9]\.[0-9]{6}[0-9]*[1-9]'
    then 'is more digits than ' || 'timestamp with time zone' || ' holds'
    else 'is not an ISO 8601 timestamp'
end end, ("s"."c2" is not null and not ((pg_input_is_valid("s"."c2", 'timestamp with time zone')) and (("s"."c2" like '____-__-__T__:__:__Z' and translate("s"."c2", '0123456789', '') = '--T::Z'
    and "s"."c2" not like '%T24:%' and "s"."c2" not like '%:60Z')
or "s"."c2" ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ]([013-9][0-9]|2[0-35-9]):[0-9]{2}(:([0-57-9][0-9]|6[1-9])(\.[0-9]{0,6}0*)?)?(Z|[-+][0-9]{2}(:?[0-9]{2})?)?)?$')))),
    (15, 'required', 'department_id'::text, 'department_id is empty', "s"."c3" is null),
    (16, 'type', 'department_id'::text, '''' || left("s"."c3", 80) || case when length("s"."c3") > 80 then '…' else '' end || ''' '
    || case when not true then 'is more than integer holds' else case
    when "s"."c3" ~ '^[-+]?[0-9]+$' then 'is out of the range of integer'
    else 'is not an integer'
end end, ("s"."c3" is not null and not ((pg_input_is_valid("s"."c3", 'integer')) and ("s"."c3" ~ '^[-+]?[0-9]+$')))),
    (20, 'required', 'job_id'::text, 'job_id is empty', "s"."c4" is null),
    (21, 'type', 'job_id'::text, '''' || left("s"."c4", 80) || case when length("s"."c4") > 80 then '…' else '' end || ''' '
    || case when not true then 'is more than integer holds' else case
    when "s"."c4" ~ '^[-+]?[0-9]+$' then 'is out of the range of integer'
    else 'is not an integer'
end end, ("s"."c4" is not null and not ((pg_input_is_valid("s"."c4", 'integer')) and ("s"."c4" ~ '^[-+]?[0-9]+$'))))
) as r (place, rule, column_name, message, broken)
where r.broken;

-- judge.dirty_columns
-- Return the columns with at least one cell that is no value of its type.
select distinct column_name from pg_temp.verdict where rule = 'type';

-- match.greatest
-- Return the greatest key of the table: from the index, without reading rows.
select max("id") from "hired_employees"."hired_employees";

-- match.keys_range
-- Return the least and greatest integer key of the stage, the greatest that the table may have, and
-- the rows whose key occurs more than once.
select
    min("s"."c0"::integer), max("s"."c0"::integer), max("s"."c0"::integer) filter (where "s"."c0"::integer <= %(greatest)s),
    case when count("s"."c0"::integer) > count(distinct "s"."c0"::integer) then array(
        select unnest(array_agg(s.n)) from pg_temp.stage as s
        group by "s"."c0"::integer having count("s"."c0"::integer) > 1
    ) end
from pg_temp.stage as s;

-- match.match
-- Record the rows whose key is in the table: whether that row is to stay as it is, whether it does
-- so although it differs, and whether this source wrote it.
insert into pg_temp.match
select
    s.n,
    not (row("t"."id", "t"."employee_name", "t"."hired_date", "t"."department_id", "t"."job_id")::record *<> row("s"."c0"::integer, "s"."c1"::text, "s"."c2"::timestamp with time zone, "s"."c3"::integer, "s"."c4"::integer)::record and true),
    row("t"."id", "t"."employee_name", "t"."hired_date", "t"."department_id", "t"."job_id")::record *<> row("s"."c0"::integer, "s"."c1"::text, "s"."c2"::timestamp with time zone, "s"."c3"::integer, "s"."c4"::integer)::record and not true,
    (t.xmin = any(%(own)s::text[]::xid[]) or false),
    t.xmin::text::bigint,
    t.tableoid,
    t.ctid,
    "s"."c0"::integer
from pg_temp.stage as s
join "hired_employees"."hired_employees" as t on "t"."id" = "s"."c0"::integer
where t."id" between %(least)s and %(greatest)s;

-- judge.checks
-- Refuse rows that break a CHECK. As in SQL, a check that is NULL holds.
insert into pg_temp.verdict (n, place, rule, column_name, message)
select t."rowboat n", r.place, r.rule, r.column_name, r.message
from (select s.n as "rowboat n", "s"."c1"::text as "employee_name" from pg_temp.stage as s) as t
cross join lateral (values
    (7, 'check', 'employee_name'::text, 'employee_name is blank', ((employee_name ~ '\S'::text)) is false)
) as r (place, rule, column_name, message, broken)
where (
    ((employee_name ~ '\S'::text)) is false
) and r.broken;

-- judge.reference
-- Refuse rows that refer to a parent that does not exist.
insert into pg_temp.verdict (n, place, rule, column_name, message)
select s.n, 18, 'reference', 'department_id', 'hired_employees.departments has no ' || 'id ' || left(("s"."c3"::integer)::text, 80)
from pg_temp.stage as s
where ("s"."c3"::integer) is not null and not exists (select from "hired_employees"."departments" as p where "p"."id" = "s"."c3"::integer);

-- judge.reference
-- Refuse rows that refer to a parent that does not exist.
insert into pg_temp.verdict (n, place, rule, column_name, message)
select s.n, 23, 'reference', 'job_id', 'hired_employees.jobs has no ' || 'id ' || left(("s"."c4"::integer)::text, 80)
from pg_temp.stage as s
where ("s"."c4"::integer) is not null and not exists (select from "hired_employees"."jobs" as p where "p"."id" = "s"."c4"::integer);

-- judge.known
-- Refuse rows whose key is in the table, if this source wrote it there, or may only insert.
insert into pg_temp.verdict (n, place, rule, column_name, message)
select
    s.n, 4, 'duplicate', 'id',
    'id ' || coalesce(left(("s"."c0"::integer)::text, 80), '(empty)') || ' occurs earlier in this file' || case when m.same and not m.overtaken then ' with the same values' else ' with other values' end
from pg_temp.match as m
join pg_temp.stage as s on s.n = m.n
where m.own or %(refuse)s or false;

-- judge.repeated
-- Refuse rows with a key that an earlier row of the stage has: the first row without a verdict
-- keeps it.
with rivals as (
    select
        s.*,
        min(s.n) filter (
            where not exists (select from pg_temp.verdict as v where v.n = s.n)
        ) over (
            partition by "s"."c0"::integer order by s.n rows between unbounded preceding and 1 preceding
        ) as first
    from pg_temp.stage as s
    where ("s"."c0"::integer) is not null and s.n = any(%(repeated)s::integer[])
)
insert into pg_temp.verdict (n, place, rule, column_name, message)
select s.n, 4, 'duplicate', 'id', 'id ' || coalesce(left(("s"."c0"::integer)::text, 80), '(empty)') || ' occurs earlier in this file' || case
    when row("s"."c0", "s"."c1", "s"."c2", "s"."c3", "s"."c4") is not distinct from row("f"."c0", "f"."c1", "f"."c2", "f"."c3", "f"."c4") then ' with the same values'
    else ' with other values'
end
from rivals as s
join rivals as f on f.n = s.first
where true;

-- stage.count_refused
-- Count the rows with a verdict.
select count(distinct n) from pg_temp.verdict;

-- stage.think_in_sets
-- The stage has no statistics: `off` keeps the planner from looking up the rows of a large one one
-- by one.
set local enable_nestloop = on;
