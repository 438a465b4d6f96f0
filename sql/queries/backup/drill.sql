-- The drill: a set is restored into the temporary schema of the session.

-- name: scratch
-- Create an empty table with the columns and rules of a real one; dropped with the transaction.
create temporary table {scratch} (like {table} including all) on commit drop;
