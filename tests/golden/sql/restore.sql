-- restore.lock_parent
-- Lock a table that rows refer to against writers.
lock table "hired_employees"."departments" in share mode;

-- restore.lock_parent
-- Lock a table that rows refer to against writers.
lock table "hired_employees"."jobs" in share mode;

-- restore.lock
-- Lock a table against other writers until the transaction ends; it can be read.
lock table "hired_employees"."hired_employees" in share row exclusive mode;

-- stage.is_built
-- Return whether the session already has the tables for rows of this form.
select coalesce(obj_description(to_regclass('pg_temp.stage'), 'pg_class') = '"c0" integer, "c1" text, "c2" timestamp with time zone, "c3" integer, "c4" integer, "k0" integer', false);

-- stage.build
-- Make the tables for rows of this form; they last as long as the session.
drop table if exists
    pg_temp.stage, pg_temp.rest, pg_temp.verdict, pg_temp.match, pg_temp.refused, pg_temp.seen;
create temporary table stage (
    n integer generated always as identity (cache 10000),
    "c0" integer, "c1" text, "c2" timestamp with time zone, "c3" integer, "c4" integer
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
comment on table pg_temp.stage is '"c0" integer, "c1" text, "c2" timestamp with time zone, "c3" integer, "c4" integer, "k0" integer';
comment on table pg_temp.rest is '"c0" integer, "c1" text, "c2" timestamp with time zone, "c3" integer, "c4" integer, "k0" integer';

-- stage.clear
-- Make room for the next cargo, and forget what was found about the last one. Truncating an empty
-- table costs as much as truncating a full one, so empty ones are skipped.
truncate pg_temp.stage restart identity;
do $$ begin
    if exists (select from pg_temp.verdict) then truncate pg_temp.verdict; end if;
    if exists (select from pg_temp.match) then truncate pg_temp.match; end if;
    if exists (select from pg_temp.refused) then truncate pg_temp.refused; end if;
end $$;

-- stage.fill_binary
-- Copy rows in as values and text.
copy pg_temp.stage ("c0", "c1", "c2", "c3", "c4") from stdin (format binary);

-- restore.doomed
-- Collect the rows that are to be deleted: their tableoid, ctid and the columns that others refer to.
create temporary table "rowboat_doomed_0" on commit drop as
select t.tableoid as "rowboat home", t.ctid as "rowboat place"
from "hired_employees"."hired_employees" as t
where not exists (select from pg_temp.stage as s where "t"."id" = "s"."c0");

-- stage.set_aside
-- Keep the rows while other tables are staged.
alter table pg_temp.stage rename to "rowboat_stage_0";

-- restore.delete
-- Delete doomed rows.
delete from "hired_employees"."hired_employees" as t using "rowboat_doomed_0" as d
where d."rowboat home" = t.tableoid and d."rowboat place" = t.ctid and true;

-- stage.is_built
-- Return whether the session already has the tables for rows of this form.
select coalesce(obj_description(to_regclass('pg_temp.stage'), 'pg_class') = '"c0" integer, "c1" text, "c2" timestamp with time zone, "c3" integer, "c4" integer, "k0" integer', false);

-- stage.build
-- Make the tables for rows of this form; they last as long as the session.
drop table if exists
    pg_temp.stage, pg_temp.rest, pg_temp.verdict, pg_temp.match, pg_temp.refused, pg_temp.seen;
create temporary table stage (
    n integer generated always as identity (cache 10000),
    "c0" integer, "c1" text, "c2" timestamp with time zone, "c3" integer, "c4" integer
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
comment on table pg_temp.stage is '"c0" integer, "c1" text, "c2" timestamp with time zone, "c3" integer, "c4" integer, "k0" integer';
comment on table pg_temp.rest is '"c0" integer, "c1" text, "c2" timestamp with time zone, "c3" integer, "c4" integer, "k0" integer';

-- stage.take_up
-- Continue with rows that were set aside.
drop table pg_temp.stage;
alter table pg_temp."rowboat_stage_0" rename to stage;
-- the other tables may be of another form: the next cargo must not take them for its own
comment on table pg_temp.stage is null;

-- stage.think_in_sets
-- The stage has no statistics: `off` keeps the planner from looking up the rows of a large one one
-- by one.
set local enable_nestloop = off;

-- judge.cells
-- Refuse empty cells of required columns, and cells that are no value of their type. One pass over
-- the stage: only odd rows get to the list of reasons.
with s as (
    select s.* from pg_temp.stage as s
    where "s"."c0" is null
    or "s"."c1" is null
    or "s"."c2" is null
    or "s"."c3" is null
    or "s"."c4" is null
)
insert into pg_temp.verdict (n, place, rule, column_name, message)
select s.n, r.place, r.rule, r.column_name, r.message
from s
cross join lateral (values
    (0, 'required', 'id'::text, 'id is empty', "s"."c0" is null),
    (5, 'required', 'employee_name'::text, 'employee_name is empty', "s"."c1" is null),
    (10, 'required', 'hired_date'::text, 'hired_date is empty', "s"."c2" is null),
    (15, 'required', 'department_id'::text, 'department_id is empty', "s"."c3" is null),
    (20, 'required', 'job_id'::text, 'job_id is empty', "s"."c4" is null)
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
    min("s"."c0"), max("s"."c0"), max("s"."c0") filter (where "s"."c0" <= %(greatest)s),
    case when count("s"."c0") > count(distinct "s"."c0") then array(
        select unnest(array_agg(s.n)) from pg_temp.stage as s
        group by "s"."c0" having count("s"."c0") > 1
    ) end
from pg_temp.stage as s;

-- match.match
-- Record the rows whose key is in the table: whether that row is to stay as it is, whether it does
-- so although it differs, and whether this source wrote it.
insert into pg_temp.match
select
    s.n,
    not (row("t"."id", "t"."employee_name", "t"."hired_date", "t"."department_id", "t"."job_id")::record *<> row("s"."c0", "s"."c1", "s"."c2", "s"."c3", "s"."c4")::record and true),
    row("t"."id", "t"."employee_name", "t"."hired_date", "t"."department_id", "t"."job_id")::record *<> row("s"."c0", "s"."c1", "s"."c2", "s"."c3", "s"."c4")::record and not true,
    (t.xmin = any(%(own)s::text[]::xid[]) or false),
    t.xmin::text::bigint,
    t.tableoid,
    t.ctid,
    "s"."c0"
from pg_temp.stage as s
join "hired_employees"."hired_employees" as t on "t"."id" = "s"."c0"
where t."id" between %(least)s and %(greatest)s;

-- judge.checks
-- Refuse rows that break a CHECK. As in SQL, a check that is NULL holds.
insert into pg_temp.verdict (n, place, rule, column_name, message)
select t."rowboat n", r.place, r.rule, r.column_name, r.message
from (select s.n as "rowboat n", "s"."c1" as "employee_name" from pg_temp.stage as s) as t
cross join lateral (values
    (7, 'check', 'employee_name'::text, 'employee_name is blank', ((employee_name ~ '\S'::text)) is false)
) as r (place, rule, column_name, message, broken)
where (
    ((employee_name ~ '\S'::text)) is false
) and r.broken;

-- judge.reference
-- Refuse rows that refer to a parent that does not exist.
insert into pg_temp.verdict (n, place, rule, column_name, message)
select s.n, 18, 'reference', 'department_id', 'hired_employees.departments has no ' || 'id ' || left(("s"."c3")::text, 80)
from pg_temp.stage as s
where ("s"."c3") is not null and not exists (select from "hired_employees"."departments" as p where "p"."id" = "s"."c3");

-- judge.reference
-- Refuse rows that refer to a parent that does not exist.
insert into pg_temp.verdict (n, place, rule, column_name, message)
select s.n, 23, 'reference', 'job_id', 'hired_employees.jobs has no ' || 'id ' || left(("s"."c4")::text, 80)
from pg_temp.stage as s
where ("s"."c4") is not null and not exists (select from "hired_employees"."jobs" as p where "p"."id" = "s"."c4");

-- judge.known
-- Refuse rows whose key is in the table, if this source wrote it there, or may only insert.
insert into pg_temp.verdict (n, place, rule, column_name, message)
select
    s.n, 4, 'duplicate', 'id',
    'id ' || coalesce(left(("s"."c0")::text, 80), '(empty)') || ' occurs earlier in this backup' || case when m.same and not m.overtaken then ' with the same values' else ' with other values' end
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
            partition by "s"."c0" order by s.n rows between unbounded preceding and 1 preceding
        ) as first
    from pg_temp.stage as s
    where ("s"."c0") is not null and s.n = any(%(repeated)s::integer[])
)
insert into pg_temp.verdict (n, place, rule, column_name, message)
select s.n, 4, 'duplicate', 'id', 'id ' || coalesce(left(("s"."c0")::text, 80), '(empty)') || ' occurs earlier in this backup' || case
    when row(("s"."c0")::text, ("s"."c1")::text, ("s"."c2")::text, ("s"."c3")::text, ("s"."c4")::text) is not distinct from row(("f"."c0")::text, ("f"."c1")::text, ("f"."c2")::text, ("f"."c3")::text, ("f"."c4")::text) then ' with the same values'
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

-- merge.matched
-- Count the good rows whose key the table has: with other values, and with the same to the last
-- bit.
select count(*) filter (where not s.same), count(*) filter (where s.same)
from pg_temp.match as s where not exists (select from pg_temp.verdict as v where v.n = s.n);

-- restore.reasons
-- The reasons for rejecting rows: each rule and column with a count and an example.
select rule, column_name as "column", count(*) as rows, min(message) as example
from pg_temp.verdict group by rule, column_name order by 3 desc, 1, 2;

-- merge.hold
-- Keep other writers from changing the parents until the transaction ends.
lock table "hired_employees"."departments", "hired_employees"."jobs" in share mode;

-- merge.skip_triggers
-- For this transaction only: the judge has checked the parents of all rows at once.
set local session_replication_role = replica;

-- restore.delete
-- Delete doomed rows.
delete from "hired_employees"."hired_employees" as t using "rowboat_doomed_0" as d
where d."rowboat home" = t.tableoid and d."rowboat place" = t.ctid and false;

-- restore.supersede
-- Settle the rejects of earlier restores of the same backup: its rows are judged again.
update ingest_status.rejected_rows
set settled_at = clock_timestamp(), settled_as = 'superseded'
where source = 'backup' and source_name = %(source_name)s and table_name = %(table)s
    and settled_at is null;

-- merge.matched
-- Count the good rows whose key the table has: with other values, and with the same to the last
-- bit.
select count(*) filter (where not s.same), count(*) filter (where s.same)
from pg_temp.match as s where not exists (select from pg_temp.verdict as v where v.n = s.n);

-- stage.think_in_sets
-- The stage has no statistics: `off` keeps the planner from looking up the rows of a large one one
-- by one.
set local enable_nestloop = off;

-- merge.update
-- Update rows of the table whose key a good row has with other values. A row that has moved since
-- it was matched is not updated, so the counts reveal the race. The array of places lets Postgres
-- fetch rows by place instead of reading the whole table.
update "hired_employees"."hired_employees" as t set ("id", "employee_name", "hired_date", "department_id", "job_id") = row("s"."c0", "s"."c1", "s"."c2", "s"."c3", "s"."c4")
from pg_temp.stage as s
join pg_temp.match as m on m.n = s.n
where not exists (select from pg_temp.verdict as v where v.n = s.n) and not m.same and t.tableoid = m.home and t.ctid = m.place
    and t.ctid = any (array(select place from pg_temp.match where not same));

-- stage.think_in_sets
-- The stage has no statistics: `off` keeps the planner from looking up the rows of a large one one
-- by one.
set local enable_nestloop = on;

-- merge.insert
-- Insert good rows whose key the table does not have, in the order of the source.
insert into "hired_employees"."hired_employees" ("id", "employee_name", "hired_date", "department_id", "job_id") overriding system value
select "s"."c0", "s"."c1", "s"."c2", "s"."c3", "s"."c4" from pg_temp.stage as s
where not exists (select from pg_temp.verdict as v where v.n = s.n) and not exists (select from pg_temp.match as m where m.n = s.n and m.home is not null);

-- merge.greatest
-- Return the greatest value of an identity column in good rows of the stage, and in equal rows.
select greatest(max("s"."c0"), null) from pg_temp.stage as s where not exists (select from pg_temp.verdict as v where v.n = s.n);

-- merge.greatest
-- Return the greatest value of an identity column in good rows of the stage, and in equal rows.
select greatest(max("s"."c0"), null) from pg_temp.stage as s where not exists (select from pg_temp.verdict as v where v.n = s.n);

-- merge.last_value
-- Where a sequence stands; one that was never used stands before its start.
select case when is_called then last_value else last_value - 1 end from "hired_employees"."hired_employees_id_seq";

-- merge.advance
-- Move a sequence past an id that was given explicitly, never back.
select setval(%(sequence)s, greatest(%(value)s, nextval(%(sequence)s)));

-- door.record
-- Record one load with its counts; a CHECK of the table asserts that they add up.
insert into ingest_status.loads (
    table_name, source, source_name, version, first_line, last_line, first_byte, last_byte,
    actor, run, read, inserted, updated, unchanged, rejected
)
values (
    %(table)s, %(source)s, %(source_name)s, %(version)s, %(first_line)s, %(last_line)s,
    %(first_byte)s, %(last_byte)s, %(actor)s, %(run)s,
    %(read)s, %(inserted)s, %(updated)s, %(unchanged)s, %(rejected)s
)
returning id, xmin::text;

-- merge.overwritten
-- Record which transactions had written the rows that this load updated.
insert into ingest_status.overwritten (load_id, previous, keys)
select %(load_id)s, s.previous, array_agg(jsonb_build_array("k0")::text)
from pg_temp.match as s
where not exists (select from pg_temp.verdict as v where v.n = s.n) and not s.same
group by s.previous;

-- quarantine.fill_from_stage
-- Take refused rows from the stage if they have no other original.
insert into pg_temp.refused (n, line, raw)
select s.n, s.n, convert_to(case
    when s.n is not null and not exists (
        select from pg_temp.verdict as v where v.n = s.n and v.place < 0 and v.rule <> 'check'
    )
    then (select to_jsonb(f) from (select ("s"."c0")::text as "id", ("s"."c1")::text as "employee_name", ("s"."c2")::text as "hired_date", ("s"."c3")::text as "department_id", ("s"."c4")::text as "job_id") as f)
end::text, 'UTF8')
from pg_temp.stage as s
where exists (select from pg_temp.verdict as v where v.n = s.n);

-- quarantine.keep
-- Put refused rows into quarantine, in the order of the source.
set local enable_mergejoin = off;  -- the stage has no statistics, and need not be put in order
insert into ingest_status.rejected_rows
    (load_id, table_name, source, source_name, version, line, raw, fields, reasons)
select
    %(load_id)s, %(table)s, %(source)s, %(source_name)s, %(version)s, r.line, r.raw,
    case
    when s.n is not null and not exists (
        select from pg_temp.verdict as v where v.n = s.n and v.place < 0 and v.rule <> 'check'
    )
    then (select to_jsonb(f) from (select ("s"."c0")::text as "id", ("s"."c1")::text as "employee_name", ("s"."c2")::text as "hired_date", ("s"."c3")::text as "department_id", ("s"."c4")::text as "job_id") as f)
end, coalesce(r.reasons, v.reasons)
from pg_temp.refused as r
left join pg_temp.stage as s on s.n = r.n
left join (
    select n, json_agg(
        json_build_object('rule', rule, 'column', column_name, 'message', message) order by place
    )::jsonb as reasons
    from pg_temp.verdict group by n
) as v on v.n = r.n
order by r.line;
set local enable_mergejoin = on;

-- merge.fire_triggers
-- For the rest of this transaction.
set local session_replication_role = origin;

-- merge.hold
-- Keep other writers from changing the parents until the transaction ends.
lock table "hired_employees"."departments", "hired_employees"."jobs" in share mode;

-- merge.skip_triggers
-- For this transaction only: the judge has checked the parents of all rows at once.
set local session_replication_role = replica;

-- restore.delete
-- Delete doomed rows.
delete from "hired_employees"."hired_employees" as t using "rowboat_doomed_0" as d
where d."rowboat home" = t.tableoid and d."rowboat place" = t.ctid and true;

-- merge.fire_triggers
-- For the rest of this transaction.
set local session_replication_role = origin;
