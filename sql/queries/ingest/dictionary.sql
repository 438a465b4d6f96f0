-- The dictionary by which the rows of files were judged, and refused rows that are judged again.

-- name: judged
-- The files with refused rows, and those that failed, with the dictionary by which that was decided.
select file_name, table_name, dictionary, rejected
from ingest_status.ingest_status
where dictionary is not null and table_name is not null and unloaded_from is null
    and (rejected > 0 or state = 'failed');

-- name: unknown
-- The tables of files of which it is not known by what they were judged.
select distinct table_name from ingest_status.ingest_status
where dictionary is null and table_name is not null and state <> 'loading';

-- name: remember_unknown
-- Give files of which it is not known by what they were judged the dictionary of their table.
update ingest_status.ingest_status as p
set dictionary = t.dictionary, relation = coalesce(p.relation, t.oid)
from unnest(%(names)s::text[], %(oids)s::bigint[]::oid[], %(dictionaries)s::text[])
    as t (name, oid, dictionary)
where p.dictionary is null and p.table_name = t.name and p.state <> 'loading';

-- name: remember
-- Record by which dictionary the rows of a file have been judged. Rows that were loaded earlier stay
-- in the table into which they went.
update ingest_status.ingest_status set
    dictionary = %(dictionary)s,
    relation = case when loaded_bytes = 0 or relation is null then %(oid)s else relation end,
    types = case when loaded_bytes = 0 then %(types)s else types end
where file_name = %(file_name)s;

-- name: set_right
-- A file that failed as all of its rows were refused is loaded if some of them went in.
update ingest_status.ingest_status set state = 'loaded', error = null
where file_name = %(file_name)s and state = 'failed' and rejected < read
    and loaded_bytes = file_size;

-- name: uncut
-- Return and lock open rows of a file's version that are not kept as cells, because only the
-- database refused them, or `all`, because they could not be cut.
select id, raw, reasons
from ingest_status.rejected_rows
where source = 'file' and source_name = %(file_name)s and version = %(version)s
    and settled_at is null and fields is null and id > %(after)s
    and (%(all)s or not reasons @? '$[*] ? (@.rule != "check")')
order by id limit %(limit)s
for update;

-- name: keep_cut
-- Keep the cells of a row that can be cut into these now, or what is wrong with it now.
update ingest_status.rejected_rows as q
set fields = r.fields, reasons = coalesce(r.reasons, q.reasons)
from jsonb_to_recordset(%(rows)s::jsonb) as r (id bigint, fields jsonb, reasons jsonb)
where q.id = r.id;
