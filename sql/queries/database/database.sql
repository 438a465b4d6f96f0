-- Options of a session, and savepoints.

-- name: set_options
-- Set options until the session ends, from a JSON object of names and values.
select set_config(key, value, false) from jsonb_each_text(%(options)s);

-- name: savepoint
-- Begin a part of the transaction that can be rolled back.
savepoint rowboat;

-- name: go_back
-- Roll back to the savepoint.
rollback to savepoint rowboat;
release savepoint rowboat;

-- name: go_on
-- Keep what has happened since the savepoint, as part of the transaction.
release savepoint rowboat;
