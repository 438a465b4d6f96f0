-- What a set is for, whether it is to be trusted, and what was restored.
-- migrate:up
alter table backup_status.backup_status
    add column purpose text not null default 'backup' check (purpose in ('backup', 'safety')),
    add column suspicion text;
comment on column backup_status.backup_status.set_name is 'The folder of the set on the shelf.';
comment on column backup_status.backup_status.last_id is 'The greatest id, where the key is one integer.';
comment on column backup_status.backup_status.sha256 is 'Of the file.';
comment on column backup_status.backup_status.row_digest is 'Of the rows, in any order and in any file.';
comment on column backup_status.backup_status.schema_hash is 'Of the names, types and nullability of the columns.';
comment on column backup_status.backup_status.snapshot is 'The transactions that the set has seen (pg_snapshot).';
comment on column backup_status.backup_status.verified_at is 'When the file was last read back whole; null where it never was, or no longer can be.';
comment on column backup_status.backup_status.drilled_at is 'When the file was last restored on trial.';
comment on column backup_status.backup_status.purpose is 'A backup, or the safety copy of what a restore overwrites.';
comment on column backup_status.backup_status.suspicion is 'Why the table looks wrong: nothing expires because of such a set.';

create table backup_status.restores (
    id bigint generated always as identity primary key,
    source_name text not null,
    tables text[] not null,
    mode text not null check (mode in ('replace', 'merge', 'missing')),
    cascades boolean not null,
    safety_set text not null,
    undoes bigint references backup_status.restores,
    report jsonb not null,
    actor text not null,
    run text,
    started_at timestamptz not null default now(),
    finished_at timestamptz not null default clock_timestamp()
);
comment on table backup_status.restores is 'One row for each restore; the safety set holds what was there before.';
comment on column backup_status.restores.source_name is 'The set, or the file.';
comment on column backup_status.restores.tables is 'What the safety set holds and an undo brings back.';
comment on column backup_status.restores.report is 'Per table: rows inserted, updated, deleted, unchanged, rejected.';

-- migrate:down
drop table backup_status.restores;
alter table backup_status.backup_status drop column suspicion, drop column purpose;
comment on column backup_status.backup_status.set_name is null;
comment on column backup_status.backup_status.last_id is null;
comment on column backup_status.backup_status.sha256 is null;
comment on column backup_status.backup_status.row_digest is null;
comment on column backup_status.backup_status.schema_hash is null;
comment on column backup_status.backup_status.snapshot is null;
comment on column backup_status.backup_status.verified_at is null;
comment on column backup_status.backup_status.drilled_at is null;
