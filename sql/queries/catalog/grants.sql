-- Least privilege: what each role may do. Applied after every migration.

-- name: use
-- Let a role see that a managed schema exists.
grant usage on schema {schema} to {role};

-- name: look
-- Let the reader read.
grant select on all tables in schema {schema} to {role};

-- name: change
-- Let loader and API change rows and advance sequences; they own nothing and drop nothing.
grant select, insert, update, delete on all tables in schema {schema} to {role};
grant select, usage, update on all sequences in schema {schema} to {role};

-- name: loader_service
-- Let the loader keep positions, loads, the quarantine and the record of backups.
grant usage on schema ingest_status, backup_status, rowboat to {role};
grant select, insert, update on all tables in schema ingest_status, backup_status to {role};
grant delete on ingest_status.ingest_status, backup_status.backup_status to {role};
grant select on rowboat.migrations to {role};
do $$ begin
    if to_regclass('ingest_status.record_hashes') is not null then
        grant delete on ingest_status.record_hashes to {role};
    end if;
    if to_regclass('rowboat.writes') is not null then  -- a later migration makes it
        grant select on rowboat.writes to {role};
    end if;
    if to_regnamespace('rowboat_parts') is not null then
        grant usage, create on schema rowboat_parts to {role};
    end if;
end $$;

-- name: api_service
-- Let the API pass rows through the door. It reads positions and backups, and changes only the
-- counts of a file whose refused rows were let in after all or discarded, and pins. It creates and revokes keys
-- but cannot change one, and can never change what it has written to the audit.
grant usage on schema ingest_status, backup_status, rowboat to {role};
grant select on all tables in schema ingest_status, backup_status to {role};
grant insert on ingest_status.loads, ingest_status.overwritten to {role};
grant insert, update on ingest_status.rejected_rows to {role};
grant update (inserted, updated, unchanged, rejected) on ingest_status.ingest_status to {role};
grant update (pinned) on backup_status.backup_status to {role};
grant select on rowboat.migrations to {role};
do $$ begin  -- later migrations make these
    if to_regclass('rowboat.keys') is not null then
        grant select, insert (id, name, secret_sha256, scope, tables, per_minute, expires_at)
            on rowboat.keys to {role};
        grant update (used_at) on rowboat.keys to {role};
        grant select, insert, update, delete on rowboat.usage, rowboat.answers to {role};
        grant select, insert (actor, request, action, table_name, before, after)
            on rowboat.audit to {role};
    end if;
    if to_regclass('rowboat.sessions') is not null then
        grant select, insert (token_sha256, caller, name, scope), delete, update (seen_at)
            on rowboat.sessions to {role};
        grant execute on function rowboat.revoke_key(text) to {role};
    end if;
    if to_regclass('rowboat.writes') is not null then
        grant select on rowboat.writes to {role};
    end if;
    if exists (
        select from information_schema.columns
        where (table_schema, table_name) = ('ingest_status', 'ingest_status')
            and column_name = 'discarded'
    ) then
        grant update (discarded) on ingest_status.ingest_status to {role};
    end if;
end $$;

-- name: reader_service
-- Let the reader see where rows came from, but not what was refused: that may be private.
grant usage on schema ingest_status, backup_status to {role};
grant select on ingest_status.ingest_status, ingest_status.loads,
    backup_status.backup_status to {role};
