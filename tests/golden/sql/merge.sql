-- merge.matched
-- Count the good rows whose key the table has: with other values, and with the same to the last
-- bit.
select count(*) filter (where not s.same), count(*) filter (where s.same)
from pg_temp.match as s where not exists (select from pg_temp.verdict as v where v.n = s.n);

-- merge.remember
-- Keep the keys of equal rows: the same key further on in the same source is a duplicate.
insert into pg_temp.seen
select "k0" from pg_temp.match as s where not exists (select from pg_temp.verdict as v where v.n = s.n) and s.same;

-- stage.think_in_sets
-- The stage has no statistics: `off` keeps the planner from looking up the rows of a large one one
-- by one.
set local enable_nestloop = off;

-- merge.update
-- Update rows of the table whose key a good row has with other values. A row that has moved since
-- it was matched is not updated, so the counts reveal the race. The array of places lets Postgres
-- fetch rows by place instead of reading the whole table.
update "hired_employees"."hired_employees" as t set ("employee_name", "hired_date", "department_id", "job_id") = row("s"."c1"::text, "s"."c2"::timestamp with time zone, "s"."c3"::integer, "s"."c4"::integer)
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
select "s"."c0"::integer, "s"."c1"::text, "s"."c2"::timestamp with time zone, "s"."c3"::integer, "s"."c4"::integer from pg_temp.stage as s
where not exists (select from pg_temp.verdict as v where v.n = s.n) and not exists (select from pg_temp.match as m where m.n = s.n and m.home is not null);

-- merge.greatest
-- Return the greatest value of an identity column in good rows of the stage, and in equal rows.
select greatest(max("s"."c0"::integer), null) from pg_temp.stage as s where not exists (select from pg_temp.verdict as v where v.n = s.n);

-- merge.greatest
-- Return the greatest value of an identity column in good rows of the stage, and in equal rows.
select greatest(max("s"."c0"::integer), null) from pg_temp.stage as s where not exists (select from pg_temp.verdict as v where v.n = s.n);

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

-- judge.refused
-- Return the rows with a verdict.
select distinct n from pg_temp.verdict order by n;

-- quarantine.fill
-- Copy the original bytes of refused rows; reasons only if the row could not be staged.
copy pg_temp.refused (n, line, raw, reasons, rejected_id) from stdin;

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
    then (select to_jsonb(f) from (select "s"."c0" as "id", "s"."c1" as "employee_name", "s"."c2" as "hired_date", "s"."c3" as "department_id", "s"."c4" as "job_id") as f)
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
