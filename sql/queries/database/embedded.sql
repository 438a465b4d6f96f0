-- Roles and databases of the embedded server, created once by its superuser.

-- name: create_role
-- Create a role that may only log in, with its generated password.
create role {role} login password %(password)s;

-- name: create_database
-- Create a database with an owner; encoding and collation are the cluster's: UTF-8, byte by byte.
create database {database} owner {owner};

-- name: close_database
-- Let only the owner connect, until others are granted the right.
revoke all on database {database} from public;

-- name: open_database
-- Let a role connect, and stage rows in temporary tables.
grant connect, temporary on database {database} to {role};

-- name: allow_fast_path
-- Let the loader disable row triggers: it checks foreign keys set by set, which is faster.
grant set on parameter session_replication_role to rowboat_loader;
