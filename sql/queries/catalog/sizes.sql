-- How many rows a table has.

-- name: estimate
-- About how many rows a table has; -1 where Postgres does not know yet.
select greatest(sum(c.reltuples), -1)::bigint
from pg_partition_tree({table}::regclass) as p
join pg_class as c on c.oid = p.relid
where p.isleaf;

-- name: count
-- How many rows a table has.
select count(*) from {table};
