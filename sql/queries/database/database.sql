-- A session's options; within a transaction: try, and go back.

-- name: set_options
-- Until the session ends; from names and values.
select set_config(key, value, false) from jsonb_each_text(%(options)s);

-- name: savepoint
-- From here a failure can be taken back.
savepoint rowboat;

-- name: go_back
-- As if nothing had happened since.
rollback to savepoint rowboat;
release savepoint rowboat;

-- name: go_on
-- What happened since belongs to the transaction.
release savepoint rowboat;
