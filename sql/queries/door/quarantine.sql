-- The quarantine: refused rows with their original bytes and all reasons.

-- name: fill
-- Copy the original bytes of refused rows; reasons only if the row could not be staged.
copy pg_temp.refused (n, line, raw, reasons, rejected_id) from stdin;

-- name: fill_from_stage
-- Take refused rows from the stage if they have no other original.
insert into pg_temp.refused (n, line, raw)
select s.n, s.n, convert_to({fields}::text, 'UTF8')
from pg_temp.stage as s
where exists (select from pg_temp.verdict as v where v.n = s.n);

-- name: keep
-- Put refused rows into quarantine, in the order of the source.
set local enable_mergejoin = off;  -- the stage has no statistics, and need not be put in order
insert into ingest_status.rejected_rows
    (load_id, table_name, source, source_name, version, line, raw, fields, reasons)
select
    %(load_id)s, %(table)s, %(source)s, %(source_name)s, %(version)s, r.line, r.raw,
    {fields}, coalesce(r.reasons, v.reasons)
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

-- fragment: fields
-- A staged row as column → text; NULL if its cells do not show all that was found wrong.
case
    when s.n is not null and not exists (
        select from pg_temp.verdict as v where v.n = s.n and v.place < 0 and v.rule <> 'check'
    )
    then (select to_jsonb(f) from (select {cells}) as f)
end

-- name: again
-- Update the reasons of rows that were judged again and refused again.
update ingest_status.rejected_rows as q set reasons = v.reasons
from pg_temp.refused as r
join (
    select n, json_agg(
        json_build_object('rule', rule, 'column', column_name, 'message', message) order by place
    )::jsonb as reasons
    from pg_temp.verdict group by n
) as v on v.n = r.n
where q.id = r.rejected_id and q.reasons is distinct from v.reasons;

-- name: settle
-- Settle rows that were judged again and let in.
update ingest_status.rejected_rows as q
set settled_at = clock_timestamp(), settled_as = 'loaded', settled_by = %(load_id)s
from unnest(%(ids)s::bigint[]) with ordinality as i (id, n)
where q.id = i.id and not exists (select from pg_temp.verdict as v where v.n = i.n);

-- name: leave
-- Give the reason of a row that was judged again and refused by a rule that only the database
-- knows.
update ingest_status.rejected_rows
set reasons = jsonb_build_array(
    jsonb_build_object('rule', 'check', 'column', null, 'message', %(message)s::text)
)
where id = %(id)s;

-- name: supersede
-- Settle the rejects of earlier versions of a file: a newer version replaces it.
update ingest_status.rejected_rows
set settled_at = clock_timestamp(), settled_as = 'superseded'
where source = 'file' and source_name = %(source_name)s and version < %(version)s
    and settled_at is null;

-- name: discard
-- Settle chosen open rows as not wanted; return how many of each table.
with discarded as (
    update ingest_status.rejected_rows as q
    set settled_at = clock_timestamp(), settled_as = 'discarded',
        discarded_by = %(actor)s, discarded_because = %(because)s
    where {which}
    returning q.table_name, q.source, q.source_name, q.version
), counted as (
    update ingest_status.ingest_status as f set discarded = f.discarded + d.rows
    from (
        select source_name, version, count(*) as rows from discarded
        where source = 'file' group by source_name, version
    ) as d
    where f.file_name = d.source_name and f.version = d.version
)
select table_name, count(*) from discarded group by table_name order by table_name;

-- name: waiting
-- Return and lock open rows of a table whose only fault is a missing parent. A row with a value for
-- a column that the table has no longer stays: it would lose the value.
select id, source_name, version, line, raw, fields
from ingest_status.rejected_rows
where table_name = %(table)s and settled_at is null and fields is not null
    and not reasons @? '$[*] ? (@.rule != "reference")'
    and id > %(after)s and fields - %(columns)s::text[] = '{{}}'
order by id limit %(limit)s
for update;

-- name: open
-- Return and lock chosen open rows that could be split into fields, whatever their faults.
select q.id, q.source_name, q.version, q.line, q.raw, q.fields
from ingest_status.rejected_rows as q
where {which} and q.id > %(after)s and q.fields - %(columns)s::text[] = '{{}}'
order by q.id limit %(limit)s
for update;

-- name: tables_waiting
-- Return those of the given tables that have rows waiting for a parent.
select distinct table_name from ingest_status.rejected_rows
where table_name = any(%(tables)s) and settled_at is null
    and reasons @? '$[*] ? (@.rule == "reference")';

-- name: count_back
-- Count rows of a file that were let in after all as loaded, and no longer as rejected.
update ingest_status.ingest_status as f
set
    rejected = f.rejected - c.inserted - c.updated - c.unchanged,
    inserted = f.inserted + c.inserted,
    updated = f.updated + c.updated,
    unchanged = f.unchanged + c.unchanged
from (
    select
        q.source_name,
        count(*) filter (where m.n is null) as inserted,
        count(*) filter (where not m.same) as updated,
        count(*) filter (where m.same) as unchanged
    from unnest(%(ids)s::bigint[]) with ordinality as i (id, n)
    join ingest_status.rejected_rows as q on q.id = i.id
    left join pg_temp.match as m on m.n = i.n
    where q.settled_by = %(load_id)s and q.source = 'file'
    group by q.source_name
) as c
where f.file_name = c.source_name;

-- name: list
-- Return all open rows, or those of a table, by source and line.
select q.id, q.table_name, q.source, q.source_name, q.line, q.raw, q.reasons, q.rejected_at
from ingest_status.rejected_rows as q
where q.settled_at is null and (%(table)s::text is null or q.table_name = %(table)s)
order by q.source_name, q.line, q.id;

-- fragment: which
-- Open rows: of some tables, with a fault, of one source, or one row; NULL chooses all. `rules` and
-- `columns` are searched first, as reading all reasons is several times slower.
q.settled_at is null
and (%(tables)s::text[] is null or q.table_name = any(%(tables)s))
and (%(rule)s::text is null or strpos(q.rules, %(rule)s) > 0)
and (%(column)s::text is null or strpos(q.columns, %(column)s) > 0)
and (%(fault)s::jsonb is null or q.reasons @> %(fault)s::jsonb)
and (%(source_name)s::text is null or q.source_name = %(source_name)s)
and (%(id)s::bigint is null or q.id = %(id)s)

-- name: page
-- Return the next of the chosen open rows.
select q.id, q.table_name, q.source, q.source_name, q.line, q.raw, q.reasons, q.rejected_at
from ingest_status.rejected_rows as q
where {which} and q.id > %(after)s
order by q.id limit %(limit)s;

-- name: begun
-- Return the next of the chosen open rows, with only the first bytes of each.
select
    q.id, q.table_name, q.source, q.source_name, q.line, substring(q.raw from 1 for %(most)s) as raw,
    q.reasons, q.rejected_at, octet_length(q.raw) as size
from ingest_status.rejected_rows as q
where {which} and q.id > %(after)s
order by q.id limit %(limit)s;

-- name: groups
-- Count the open rows of some tables, or of all, by fault, and all together. A row with several
-- faults counts in each.
with alike as (
    select q.table_name, q.rules, q.columns, count(*) as rows
    from ingest_status.rejected_rows as q
    where q.settled_at is null
        and (%(tables)s::text[] is null or q.table_name = any(%(tables)s))
    group by q.table_name, q.rules, q.columns
)
select
    a.table_name, f.rule, f."column", sum(a.rows)::bigint as rows,
    (select sum(e.rows)::bigint from alike as e) as total
from alike as a
cross join lateral (
    select distinct r.rule, r."column"
    from rows from (
        jsonb_array_elements_text(a.rules::jsonb), jsonb_array_elements_text(a.columns::jsonb)
    ) as r (rule, "column")
) as f
group by a.table_name, f.rule, f."column"
order by a.table_name, rows desc, f.rule, f."column";

-- name: counts
-- Count chosen open rows by table, and how many of them could be split into fields.
select q.table_name, count(*) as rows, count(q.fields) as cut
from ingest_status.rejected_rows as q
where {which}
group by q.table_name order by q.table_name;

-- name: settled
-- Count the rows of some tables, or of all, that are no longer open, by what became of them.
select settled_as, count(*) from ingest_status.rejected_rows
where settled_at is not null and (%(tables)s::text[] is null or table_name = any(%(tables)s))
group by settled_as order by settled_as;

-- name: one
-- Return a refused row, open or settled, and who settled it.
select
    q.id, q.table_name, q.source, q.source_name, q.line, q.raw, q.reasons, q.rejected_at,
    q.version, q.fields, q.settled_at, q.settled_as, q.discarded_because,
    coalesce(k.name, l.actor, q.discarded_by) as settler
from ingest_status.rejected_rows as q
left join ingest_status.loads as l on l.id = q.settled_by
left join rowboat.keys as k on k.id = coalesce(l.actor, q.discarded_by)
where q.id = %(id)s;

-- name: hold
-- Lock an open row while it is corrected.
select from ingest_status.rejected_rows where id = %(id)s and settled_at is null for update;

-- name: why
-- Return the verdicts on the only row of the stage.
select rule, column_name, message from pg_temp.verdict order by place;

-- name: correct
-- Record the cells with which a row was let in after all; its original bytes are kept.
update ingest_status.rejected_rows set fields = %(fields)s::jsonb where id = %(id)s;

-- name: kinds
-- The kinds of reasons for which rows of a file's version are refused, the most frequent first:
-- column, number of rows, first line, its message. Messages without a cell in them are kinds.
select
    r."column",
    count(*),
    min(q.line),
    substr(min(lpad(q.line::text, 19, '0') || r.message), 20)
from ingest_status.rejected_rows as q,
    jsonb_to_recordset(q.reasons) as r (rule text, "column" text, message text)
where q.source = 'file' and q.source_name = %(source_name)s and q.version = %(version)s
    and q.settled_at is null
group by
    r.rule, r."column", case when r.rule in ('shape', 'required', 'check') then r.message end
order by count(*) desc, min(q.line), r.rule, r."column";

-- name: any_waiting
-- Whether any row of a file's version is refused only because its parent is missing.
select exists (
    select from ingest_status.rejected_rows as q
    where q.source = 'file' and q.source_name = %(source_name)s and q.version = %(version)s
        and q.settled_at is null and not q.reasons @? '$[*] ? (@.rule != "reference")'
);

-- name: example
-- Return the first row of a file that this transaction refused, for a message.
select line, reasons -> 0 ->> 'message'
from ingest_status.rejected_rows
where source_name = %(source_name)s and settled_at is null and rejected_at = now()
order by id limit 1;
