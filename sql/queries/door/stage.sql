-- The stage: temporary tables of a session, in which rows are judged before they are merged.

-- name: build
-- Make the tables for rows of this form; they last as long as the session.
drop table if exists
    pg_temp.stage, pg_temp.rest, pg_temp.verdict, pg_temp.match, pg_temp.refused, pg_temp.seen;
create temporary table stage (
    n integer generated always as identity (cache 10000),
    {cells}
);
create temporary table rest (like stage including identity);
create temporary table verdict (
    n integer, place integer, rule text, column_name text, message text
);
create temporary table match (
    n integer, same boolean, overtaken boolean, own boolean, previous bigint, home oid, place tid{keys}
);
create temporary table refused (
    n integer, line bigint, raw bytea, reasons jsonb, rejected_id bigint
);
create temporary table seen ({key});
comment on table pg_temp.stage is {form};
comment on table pg_temp.rest is {form};

-- name: build_intake
-- Make the view into which rows of very many columns are copied. Its trigger stages their cells as
-- text, many in one column: such a column is compressed or moved out if the row exceeds a page.
drop view if exists pg_temp.intake;
create temporary view intake as select {nulls};
create or replace function pg_temp.take_in() returns trigger language plpgsql as {body};
create trigger take_in instead of insert on pg_temp.intake
for each row execute function pg_temp.take_in();

-- fragment: take_in
-- Stage a row.
begin
    insert into pg_temp.stage ({arrays}) values ({cells});
    return new;
end

-- name: is_built
-- Return whether the session already has the tables for rows of this form.
select coalesce(obj_description(to_regclass('pg_temp.stage'), 'pg_class') = {form}, false);

-- name: clear
-- Make room for the next cargo, and forget what was found about the last one. Truncating an empty
-- table costs as much as truncating a full one, so empty ones are skipped.
truncate pg_temp.stage restart identity;
do $$ begin
    if exists (select from pg_temp.verdict) then truncate pg_temp.verdict; end if;
    if exists (select from pg_temp.match) then truncate pg_temp.match; end if;
    if exists (select from pg_temp.refused) then truncate pg_temp.refused; end if;
end $$;

-- name: renew
-- Forget everything about earlier cargoes, the keys of equal rows included.
do $$ begin
    if exists (select from pg_temp.verdict) then truncate pg_temp.verdict; end if;
    if exists (select from pg_temp.match) then truncate pg_temp.match; end if;
    if exists (select from pg_temp.refused) then truncate pg_temp.refused; end if;
    if exists (select from pg_temp.seen) then truncate pg_temp.seen; end if;
end $$;

-- name: change_over
-- Make the rest the stage.
alter table pg_temp.stage rename to done;
alter table pg_temp.rest rename to stage;
alter table pg_temp.done rename to rest;
truncate pg_temp.rest restart identity;

-- name: keep_reasons
-- Record what was found wrong with rows when they were read.
insert into pg_temp.verdict (n, place, rule, column_name, message)
select f.n, f.place, f.rule, f."column", f.message
from jsonb_to_recordset(%(found)s::jsonb) as f (
    n integer, place integer, rule text, "column" text, message text
);

-- name: tell_once
-- Drop the judge's verdict on the type of a cell that was found wrong when it was read.
delete from pg_temp.verdict as v using pg_temp.verdict as f
where f.n = v.n and f.column_name = v.column_name and f.place < 0 and v.place >= 0
    and f.rule = 'type' and v.rule = 'type';

-- name: set_aside
-- Keep the rows while other tables are staged.
alter table pg_temp.stage rename to {aside};

-- name: take_up
-- Continue with rows that were set aside.
drop table pg_temp.stage;
alter table pg_temp.{aside} rename to stage;
-- the other tables may be of another form: the next cargo must not take them for its own
comment on table pg_temp.stage is null;

-- name: fill_binary
-- Copy rows in as values and text.
copy {stage} ({cells}) from stdin (format binary);

-- name: fill_csv
-- Copy rows in; an unquoted empty field is NULL, a quoted one an empty text.
copy {stage} ({cells}) from stdin (
    format csv, delimiter {delimiter}, encoding 'UTF8'{force_null}
);

-- name: put_odd
-- Add the text of cells that may be no values, or are values in an uncommon form, beside the
-- values.
set local enable_nestloop = off;  -- the stage has no statistics
update pg_temp.stage as s set {changes}
from jsonb_to_recordset(%(found)s::jsonb) as o (n integer, {form})
where o.n = s.n;

-- name: fill_from
-- Copy rows of a part, numbered as rows of this cargo.
insert into pg_temp.stage (n, {cells}) overriding system value
select n - %(before)s, {cells} from {part}
where n > %(before)s and n <= %(last)s
order by n;

-- name: tell
-- Copy the verdicts that rows of a part got when they were staged.
insert into pg_temp.verdict (n, place, rule, column_name, message)
select p.n - %(before)s, v.place, v.rule, v.column_name, v.message
from {part} as p
cross join lateral jsonb_to_recordset(p.verdicts) as v (
    place integer, rule text, column_name text, message text
)
where p.n > %(before)s and p.n <= %(last)s and p.verdicts is not null;

-- fragment: force_null
-- In columns other than text a quoted empty field is NULL too.
, force_null ({cells})

-- name: think_in_sets
-- The stage has no statistics: `off` keeps the planner from looking up the rows of a large one one
-- by one.
set local enable_nestloop = {allowed};

-- name: count_refused
-- Count the rows with a verdict.
select count(distinct n) from pg_temp.verdict;
