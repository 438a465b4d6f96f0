-- The drill: a set is restored into the session's own temporary schema, which nobody else sees.

-- name: scratch
-- An empty table with the columns and rules of a real one; Postgres drops it, whatever happens.
create temporary table {scratch} (like {table} including all) on commit drop;
