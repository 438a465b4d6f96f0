-- What Rowboat itself needs: positions, loads, quarantine, the record of backups.
-- migrate:up
do $$
declare
    wanted text;
begin
    foreach wanted in array array['rowboat_loader', 'rowboat_api', 'rowboat_reader'] loop
        if not exists (select from pg_catalog.pg_roles where rolname = wanted) then
            execute pg_catalog.format('create role %I', wanted);
        end if;
    end loop;
exception
    when insufficient_privilege then
        raise notice 'roles are left to the administrator of this server';
end
$$;

create schema ingest_status;
comment on schema ingest_status is 'How far each file is loaded, what every load did, what was refused.';

create table ingest_status.ingest_status (
    id bigint generated always as identity primary key,
    file_name text not null unique,
    table_name text,
    state text not null check (state in ('loading', 'loaded', 'failed', 'unmatched')),
    file_size bigint not null default 0,
    file_time_ns bigint not null default 0,
    version integer not null default 1,
    dialect jsonb,
    loaded_bytes bigint not null default 0,
    loaded_lines bigint not null default 0,
    prefix_sha256 text not null default 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    last_id bigint,
    read bigint not null default 0,
    inserted bigint not null default 0,
    updated bigint not null default 0,
    unchanged bigint not null default 0,
    rejected bigint not null default 0,
    vanished bigint not null default 0,
    error text,
    actor text not null,
    run text,
    first_seen_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz,
    constraint every_line_is_accounted_for
        check (read = inserted + updated + unchanged + rejected)
);
comment on table ingest_status.ingest_status is
    'The position of each file. It moves in the same transaction as the rows it speaks of.';
comment on column ingest_status.ingest_status.file_name is 'Relative to raw_data; absolute for a file that lies elsewhere.';
comment on column ingest_status.ingest_status.version is 'Counts the passes from the first byte: 1, then one more for each rewriting of the file.';
comment on column ingest_status.ingest_status.dialect is 'Encoding, delimiter, newline and header, recognised once for a version.';
comment on column ingest_status.ingest_status.loaded_bytes is 'Bytes of the file as unpacked UTF-8 text that have passed the door.';
comment on column ingest_status.ingest_status.prefix_sha256 is 'The sha256 of those bytes.';
comment on column ingest_status.ingest_status.last_id is 'The greatest id that was read, where the key is one integer.';
comment on column ingest_status.ingest_status.vanished is 'Rows that an earlier version brought and this one no longer has.';

create table ingest_status.loads (
    id bigint generated always as identity primary key,
    xid xid8 not null default pg_catalog.pg_current_xact_id(),
    table_name text not null,
    source text not null check (source in ('file', 'retry', 'api', 'backup')),
    source_name text not null,
    version integer,
    first_line bigint,
    last_line bigint,
    first_byte bigint,
    last_byte bigint,
    actor text not null,
    run text,
    read bigint not null,
    inserted bigint not null,
    updated bigint not null,
    unchanged bigint not null,
    rejected bigint not null,
    started_at timestamptz not null default now(),
    finished_at timestamptz not null default clock_timestamp(),
    constraint every_row_is_accounted_for
        check (read = inserted + updated + unchanged + rejected)
);
comment on table ingest_status.loads is
    'One row for each passage through the door. A table row belongs to the load whose transaction stamped it (xmin).';
create index on ingest_status.loads using hash ((xid::xid));
create index on ingest_status.loads (source_name, version);

create table ingest_status.overwritten (
    load_id bigint not null references ingest_status.loads,
    previous bigint not null,
    keys text[] not null,
    primary key (load_id, previous)
);
comment on table ingest_status.overwritten is
    'For the updates of a load: the transaction that had written those rows before, and their keys.';

create table ingest_status.rejected_rows (
    id bigint generated always as identity primary key,
    load_id bigint not null references ingest_status.loads,
    table_name text not null,
    source text not null,
    source_name text not null,
    version integer,
    line bigint not null,
    raw bytea not null,
    fields jsonb,
    reasons jsonb not null,
    rejected_at timestamptz not null default now(),
    settled_at timestamptz,
    settled_as text check (settled_as in ('loaded', 'superseded', 'discarded')),
    settled_by bigint references ingest_status.loads,
    constraint settled_whole check ((settled_at is null) = (settled_as is null))
);
comment on table ingest_status.rejected_rows is
    'The quarantine: every row that was refused, its original bytes and every reason.';
comment on column ingest_status.rejected_rows.line is 'Line of the file, from 1; index in the request, from 0.';
comment on column ingest_status.rejected_rows.fields is 'Column → text, where the row could be split; a retry judges these.';
comment on column ingest_status.rejected_rows.reasons is '[{"rule", "column", "message"}]';
create index on ingest_status.rejected_rows (table_name) where settled_at is null;
create index on ingest_status.rejected_rows (source_name, line);
create index on ingest_status.rejected_rows (settled_by) where settled_by is not null;

create schema backup_status;
comment on schema backup_status is 'What the shelf of backups holds and how far it is proven.';

create table backup_status.backup_status (
    id bigint generated always as identity primary key,
    set_name text not null,
    table_name text not null,
    file_name text not null,
    number_rows bigint not null,
    last_id bigint,
    bytes bigint not null,
    sha256 text not null,
    row_digest text not null,
    schema_hash text not null,
    snapshot text not null,
    taken_at timestamptz not null,
    verified_at timestamptz,
    drilled_at timestamptz,
    pinned boolean not null default false,
    unique (set_name, table_name)
);
comment on table backup_status.backup_status is 'One row for each table of each set of backups.';

-- migrate:down
drop schema backup_status cascade;
drop schema ingest_status cascade;
