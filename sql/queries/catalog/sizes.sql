-- How many rows a table has.

-- name: estimate
-- Return about how many rows a table has; -1 if Postgres does not know yet.
select greatest(sum(c.reltuples), -1)::bigint
from pg_partition_tree({table}::regclass) as p
join pg_class as c on c.oid = p.relid
where p.isleaf;

-- name: count
-- Count the rows of a table.
select count(*) from {table};
