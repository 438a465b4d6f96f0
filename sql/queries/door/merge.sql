-- The merge: what the judge let through enters the table, in the transaction that staged it.

-- name: may_skip_triggers
-- May this role keep foreign-key triggers from firing, and does nobody refer to the table but by its
-- key, which no update moves?
select has_parameter_privilege('session_replication_role', 'set') and not exists (
    select from pg_constraint as k
    where k.confrelid = {table}::regclass and k.contype = 'f' and k.conindid is distinct from (
        select i.indexrelid from pg_index as i
        where i.indrelid = k.confrelid and i.indisprimary
    )
);

-- name: skip_triggers
-- For this transaction only: the judge has checked every parent, set by set.
set local session_replication_role = replica;

-- name: fire_triggers
-- For the rest of this transaction.
set local session_replication_role = origin;

-- name: hold
-- Keep the parents where they are until the transaction ends.
lock table {parents} in {mode} mode;

-- name: insert
-- Good rows whose key the table does not have, in the order of the source.
insert into {table} ({columns}) overriding system value
select {values} from pg_temp.stage as s
where {good} and {new};

-- fragment: new
-- The table does not have the row's key, or no longer.
not exists (select from pg_temp.match as m where m.n = s.n and m.home is not null)

-- fragment: new_after_updates
-- The same; asking for the updates puts them first.
(select count(*) from gone) + (select count(*) from updated) >= 0
and not exists (select from pg_temp.match as m where m.n = s.n and m.home is not null)

-- name: at_once
-- Deletes, updates and inserts of a table that refers to itself, in this order but as one statement:
-- foreign keys are looked at when it ends.
with gone as ({leave}),
updated as ({update}),
inserted as ({insert} returning 1)
select (select count(*) from updated), (select count(*) from inserted);

-- fragment: updated
-- The updates, after the deletes.
{update} and (select count(*) from gone) >= 0 returning 1

-- name: one_by_one
-- Run a block.
do {body};

-- fragment: each
-- Let good rows in one at a time; what the database says of one that it refuses stands beside it.
declare
    this record;
    state text;
    rule text;
    said text;
begin
    for this in select s.n from pg_temp.stage as s where {good} order by s.n loop
        begin
            {update};
            {insert};
            set constraints all immediate;
        exception when others then
            get stacked diagnostics
                state = returned_sqlstate, rule = constraint_name, said = message_text;
            insert into pg_temp.verdict (n, rule, column_name, message)
            values (this.n, state, rule, said);
        end;
    end loop;
end

-- fragment: is_next
-- The row of the stage whose turn it is.
s.n = this.n

-- fragment: nothing
-- Leave the table as it is.
null

-- name: faults
-- What it said: state, rule, words.
select n, rule, column_name, message from pg_temp.verdict where place is null order by n;

-- fragment: nobody
-- No row.
select 1 where false

-- fragment: good
-- No verdict speaks against the row.
not exists (select from pg_temp.verdict as v where v.n = s.n)

-- name: matched
-- Good rows whose key the table has: with other values, and with the same to the last bit.
select count(*) filter (where not s.same), count(*) filter (where s.same)
from pg_temp.match as s where {good};

-- name: update
-- Good rows whose key the table has with other values; a row that moved since is a race.
update {table} as t set ({columns}) = row({values})
from pg_temp.stage as s
join pg_temp.match as m on m.n = s.n
where {good} and not m.same and t.tableoid = m.home and t.ctid = m.place
    and t.ctid = any (array(select place from pg_temp.match where not same));

-- name: displace
-- Take rows that good ones will replace out of the table, where an update is in its own way.
with gone as (
    delete from {table} as t using pg_temp.match as m
    where t.tableoid = m.home and t.ctid = m.place and not m.same and {which}
        and not exists (select from pg_temp.verdict as v where v.n = m.n)
    returning m.n
)
update pg_temp.match as m set home = null from gone as g where g.n = m.n;

-- fragment: wanted
-- Another good row of the stage brings a unique value of the row t.
exists (select from pg_temp.stage as s where s.n is distinct from {other} and {joined} and {good})

-- name: overwritten
-- Which transactions had written the rows that this load updates.
insert into ingest_status.overwritten (load_id, previous, keys)
select %(load_id)s, s.previous, array_agg(jsonb_build_array({key})::text)
from pg_temp.match as s
where {good} and not s.same
group by s.previous;

-- name: remember
-- Keys of equal rows: a second one further down in the same source is a duplicate.
insert into pg_temp.seen
select {key} from pg_temp.match as s where {good} and s.same;

-- name: greatest
-- The greatest value of an identity column among the good rows of the stage, and of equal rows.
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
