-- The merge: rows without a verdict enter the table, in the transaction that staged them.

-- name: may_skip_triggers
-- Return whether this role may keep foreign-key triggers from firing, and all references to the
-- table are to its primary key, which no update changes.
select has_parameter_privilege('session_replication_role', 'set') and not exists (
    select from pg_constraint as k
    where k.confrelid = {table}::regclass and k.contype = 'f' and k.conindid is distinct from (
        select i.indexrelid from pg_index as i
        where i.indrelid = k.confrelid and i.indisprimary
    )
);

-- name: skip_triggers
-- For this transaction only: the judge has checked the parents of all rows at once.
set local session_replication_role = replica;

-- name: fires_triggers
-- Return whether row triggers fire.
select current_setting('session_replication_role') = 'origin';

-- name: fire_triggers
-- For the rest of this transaction.
set local session_replication_role = origin;

-- name: hold
-- Keep other writers from changing the parents until the transaction ends.
lock table {parents} in {mode} mode;

-- name: insert
-- Insert good rows whose key the table does not have, in the order of the source.
insert into {table} ({columns}) overriding system value
select {values} from pg_temp.stage as s
where {good} and {new};

-- fragment: new
-- The table does not have the row's key, or its row was displaced.
not exists (select from pg_temp.match as m where m.n = s.n and m.home is not null)

-- fragment: new_after_updates
-- The table does not have the row's key, or its row was displaced. Counting the deletes and updates
-- here makes Postgres do them before the inserts.
(select count(*) from gone) + (select count(*) from updated) >= 0
and not exists (select from pg_temp.match as m where m.n = s.n and m.home is not null)

-- name: at_once
-- Delete, update and insert rows of a table that refers to itself, in this order but in one
-- statement: foreign keys are checked when it ends.
with gone as ({leave}),
updated as ({update}),
inserted as ({insert} returning 1)
select (select count(*) from updated), (select count(*) from inserted);

-- fragment: updated
-- The updates; counting the deletes makes Postgres do them before.
{update} and (select count(*) from gone) >= 0 returning 1

-- name: not_inserted
-- Refuse good rows that were to be inserted, and whose key the table does not have even now.
insert into pg_temp.verdict (n, place, rule, message)
select s.n, 0, 'check', {message} from pg_temp.stage as s
where {good} and {new} and {absent};

-- name: not_updated
-- Refuse good rows that were to be updates, if the table's row is where it was before.
insert into pg_temp.verdict (n, place, rule, message)
select s.n, 0, 'check', {message} from pg_temp.match as s
where {good} and not s.same and {there};

-- fragment: absent
-- The table does not have the row's key.
not exists (select from {table} as t where {joined})

-- fragment: there
-- The table's row is where it was when the keys were matched.
exists (
    select from {table} as t
    where t.tableoid = s.home and t.ctid = s.place
        and t.ctid = any (array(select place from pg_temp.match where not same))
)

-- name: check_now
-- Check deferred constraints now, while it can be told which rows break them.
set constraints all immediate;

-- name: one_by_one
-- Run a block.
do {body};

-- fragment: each
-- Merge good rows one at a time; what the database says of a row that it refuses is added to the
-- verdicts, without a place.
declare
    this record;
    updated bigint;
    inserted bigint;
    state text;
    rule text;
    said text;
    context text;
begin
    for this in select s.n from pg_temp.stage as s where {good} order by s.n loop
        begin
            {update};
            get diagnostics updated = row_count;
            {insert};
            get diagnostics inserted = row_count;
            if updated + inserted = 0 and ({lost}) then
                raise exception using message = {message};
            end if;
            set constraints all immediate;
        exception when others or assert_failure then
            get stacked diagnostics
                state = returned_sqlstate, rule = constraint_name, said = message_text,
                context = pg_exception_context;
            if split_part(context, chr(10), 1) like '%% RAISE' then
                state := 'P0001';  -- a trigger's own words, whichever SQLSTATE it chose
            end if;
            insert into pg_temp.verdict (n, rule, column_name, message)
            values (this.n, state, rule, said);
        end;
    end loop;
end

-- fragment: is_next
-- The row of the stage whose turn it is.
s.n = this.n

-- fragment: nothing
-- Leave the table as it is, which is 0 rows for GET DIAGNOSTICS.
perform where false

-- fragment: lost
-- The row of the stage whose turn it is was to be written, and the table shows that it was not.
exists (select from pg_temp.stage as s where {is_next} and {new} and {absent})
or exists (select from pg_temp.match as s where {is_next} and not s.same and {updates} and {there})

-- name: faults
-- Return what the database said of the rows that it refused: number, SQLSTATE, rule, message.
select n, rule, column_name, message from pg_temp.verdict where place is null order by n;

-- fragment: no_row
-- No row.
select 1 where false

-- fragment: good
-- The row has no verdict.
not exists (select from pg_temp.verdict as v where v.n = s.n)

-- name: matched
-- Count the good rows whose key the table has: with other values, and with the same to the last
-- bit.
select count(*) filter (where not s.same), count(*) filter (where s.same)
from pg_temp.match as s where {good};

-- name: overtaken
-- Count the good rows whose key the table has with other, newer values.
select count(*) from pg_temp.match as s where s.overtaken and {good};

-- name: update
-- Update rows of the table whose key a good row has with other values. A row that has moved since
-- it was matched is not updated, so the counts reveal the race. The array of places lets Postgres
-- fetch rows by place instead of reading the whole table.
update {table} as t set ({columns}) = row({values})
from pg_temp.stage as s
join pg_temp.match as m on m.n = s.n
where {good} and not m.same and t.tableoid = m.home and t.ctid = m.place
    and t.ctid = any (array(select place from pg_temp.match where not same));

-- name: displace
-- Delete rows of the table that good rows will replace, if an update could not be done in place.
with gone as (
    delete from {table} as t using pg_temp.match as m
    where t.tableoid = m.home and t.ctid = m.place and not m.same and {which}
        and not exists (select from pg_temp.verdict as v where v.n = m.n)
    returning m.n
)
update pg_temp.match as m set home = null from gone as g where g.n = m.n;

-- fragment: wanted
-- Another good row of the stage has a unique value of the row t.
exists (select from pg_temp.stage as s where s.n is distinct from {other} and {joined} and {good})

-- name: overwritten
-- Record which transactions had written the rows that this load updated.
insert into ingest_status.overwritten (load_id, previous, keys)
select %(load_id)s, s.previous, array_agg(jsonb_build_array({key})::text)
from pg_temp.match as s
where {good} and not s.same
group by s.previous;

-- name: remember
-- Keep the keys of equal rows: the same key further on in the same source is a duplicate.
insert into pg_temp.seen
select {key} from pg_temp.match as s where {good} and s.same;

-- name: greatest
-- Return the greatest value of an identity column in good rows of the stage, and in equal rows.
select greatest(max({value}), {equal}) from pg_temp.stage as s where {good};

-- fragment: greatest_equal
-- The greatest integer key of rows that equalled the table's.
(select max(k0) from pg_temp.seen)

-- name: is_refused
-- Whether a verdict speaks against one row.
select exists (select from pg_temp.verdict where n = %(n)s);

-- name: last_value
-- Where a sequence stands; one that was never used stands before its start.
select case when is_called then last_value else last_value - 1 end from {sequence};

-- name: advance
-- Move a sequence past an id that was given explicitly, never back.
select setval(%(sequence)s, greatest(%(value)s, nextval(%(sequence)s)));
