-- The embedded server's roles and databases, made once by its superuser.

-- name: create_role
-- A role that may log in with its generated password and nothing else.
create role {role} login password %(password)s;

-- name: create_database
-- A database of an owner, in UTF-8, compared byte by byte.
create database {database} owner {owner};

-- name: close_database
-- Nobody but the owner connects unless it is told so.
revoke all on database {database} from public;

-- name: open_database
-- A role may connect, and stage rows in temporary tables.
grant connect, temporary on database {database} to {role};

-- name: allow_fast_path
-- The loader judges foreign keys set by set, so it may keep the row triggers from firing.
grant set on parameter session_replication_role to rowboat_loader;
