-- Metrics: what is true of the tables that they read.

-- name: begin
-- Nothing is written from here on. When is it, and which version is seen of these tables and of the
-- quarantine?
set transaction read only;
select as_of, version, pieces from rowboat.version_of(%(tables)s);

-- name: add_up_writes
-- Many counts become one for each table.
select rowboat.add_up_writes();

-- name: years
-- The years in a column of times, the latest first; infinite times are of none.
select year from (
    select distinct date_part('year', {column})::integer as year from {table} where isfinite({column})
) as found
where year between coalesce(%(least)s, year) and coalesce(%(most)s, year)
order by year desc;

-- name: left_out
-- Open refused rows of some tables.
select name, (
    select count(*) from ingest_status.rejected_rows as q
    where q.table_name = name and q.settled_at is null
) as rows
from unnest(%(tables)s::text[]) with ordinality as t (name, place)
order by place;
