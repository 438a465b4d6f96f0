-- The stage: rows as text, next to the table, in temporary tables of one session.

-- name: build
-- Stage, verdicts and matches for one table; they live as long as the session.
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
    n integer, same boolean, own boolean, previous bigint, home oid, place tid{keys}
);
create temporary table refused (
    n integer, line bigint, raw bytea, reasons jsonb, rejected_id bigint
);
create temporary table seen ({key});
comment on table pg_temp.stage is {form};
comment on table pg_temp.rest is {form};

-- name: is_built
-- Whether the session has them already, for rows of the same form.
select coalesce(obj_description(to_regclass('pg_temp.stage'), 'pg_class') = {form}, false);

-- name: clear
-- Make room for the next cargo and forget what was found about the last one; emptying an empty table
-- costs as much as any other.
truncate pg_temp.stage restart identity;
do $$ begin
    if exists (select from pg_temp.verdict) then truncate pg_temp.verdict; end if;
    if exists (select from pg_temp.match) then truncate pg_temp.match; end if;
    if exists (select from pg_temp.refused) then truncate pg_temp.refused; end if;
end $$;

-- name: renew
-- Forget all that was found about earlier cargoes, and their keys.
do $$ begin
    if exists (select from pg_temp.verdict) then truncate pg_temp.verdict; end if;
    if exists (select from pg_temp.match) then truncate pg_temp.match; end if;
    if exists (select from pg_temp.refused) then truncate pg_temp.refused; end if;
    if exists (select from pg_temp.seen) then truncate pg_temp.seen; end if;
end $$;

-- name: change_over
-- The rest becomes the stage.
alter table pg_temp.stage rename to done;
alter table pg_temp.rest rename to stage;
alter table pg_temp.done rename to rest;
truncate pg_temp.rest restart identity;

-- name: keep_reasons
-- What was wrong with rows of the stage before they were judged.
insert into pg_temp.verdict (n, place, rule, column_name, message)
select f.n, f.place, f.rule, f."column", f.message
from jsonb_to_recordset(%(found)s::jsonb) as f (
    n integer, place integer, rule text, "column" text, message text
);

-- name: tell_once
-- What was wrong with the type of a cell before it was judged is not told twice.
delete from pg_temp.verdict as v using pg_temp.verdict as f
where f.n = v.n and f.column_name = v.column_name and f.place < 0 and v.place >= 0
    and f.rule = 'type' and v.rule = 'type';

-- name: set_aside
-- Keep the rows while other tables are staged.
alter table pg_temp.stage rename to {aside};

-- name: take_up
-- Go on with rows that were kept.
drop table pg_temp.stage;
alter table pg_temp.{aside} rename to stage;
-- the other tables may be of another form: the next cargo must not take them for its own
comment on table pg_temp.stage is null;

-- name: fill_binary
-- Take rows in as values and text.
copy pg_temp.stage ({cells}) from stdin (format binary);

-- name: fill_csv
-- Take a chunk in; an unquoted empty field is NULL, a quoted one an empty text.
copy pg_temp.stage ({cells}) from stdin (
    format csv, delimiter {delimiter}, encoding 'UTF8'{force_null}
);

-- name: put_odd
-- Cells that may be no values, or values in an uncommon form, as text beside the values.
set local enable_nestloop = off;  -- the stage has no statistics
update pg_temp.stage as s set {changes}
from jsonb_to_recordset(%(found)s::jsonb) as o (n integer, {form})
where o.n = s.n;

-- name: fill_from
-- Take in rows of a part, under numbers of this cargo.
insert into pg_temp.stage (n, {cells}) overriding system value
select n - %(before)s, {cells} from {part}
where n > %(before)s and n <= %(last)s
order by n;

-- name: tell
-- What each of these rows showed by itself.
insert into pg_temp.verdict (n, place, rule, column_name, message)
select p.n - %(before)s, v.place, v.rule, v.column_name, v.message
from {part} as p
cross join lateral jsonb_to_recordset(p.verdicts) as v (
    place integer, rule text, column_name text, message text
)
where p.n > %(before)s and p.n <= %(last)s and p.verdicts is not null;

-- fragment: force_null
-- In columns that hold no text a quoted empty field is NULL too.
, force_null ({cells})

-- name: think_in_sets
-- A large stage has no statistics: keep the planner from looking its rows up one by one.
set local enable_nestloop = {allowed};

-- name: count_refused
-- How many rows have a verdict against them.
select count(distinct n) from pg_temp.verdict;
