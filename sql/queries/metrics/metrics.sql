-- Metrics: the snapshot, the versions of tables, and rows that are left out.

-- name: begin
-- Make the transaction read-only; return its time, and the version of the tables and of the quarantine
-- that its snapshot sees.
set transaction read only;
select as_of, version, pieces from rowboat.version_of(%(tables)s);

-- name: add_up_writes
-- Merge the write counts of each table into one.
select rowboat.add_up_writes();

-- name: years
-- The years in a column of times, latest first; infinite times are skipped.
select year from (
    select distinct date_part('year', {column})::integer as year from {table} where isfinite({column})
) as found
where year between coalesce(%(least)s, year) and coalesce(%(most)s, year)
order by year desc;

-- name: left_out
-- Number of open rejected rows of some tables.
select name, (
    select count(*) from ingest_status.rejected_rows as q
    where q.table_name = name and q.settled_at is null
) as rows
from unnest(%(tables)s::text[]) with ordinality as t (name, place)
order by place;
