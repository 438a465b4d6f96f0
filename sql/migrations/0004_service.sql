-- What the HTTP service keeps: keys, how much they were used, answers to repeat, who changed what.
-- migrate:up
create table rowboat.keys (
    id text primary key,
    name text not null,
    secret_sha256 text not null,
    scope text not null check (scope in ('read', 'write', 'operate')),
    tables text[],
    per_minute integer not null check (per_minute > 0),
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    used_at timestamptz,
    revoked_at timestamptz
);
comment on table rowboat.keys is 'The keys of the API; a secret is 256 random bits, kept as its hash.';
comment on column rowboat.keys.scope is 'write includes read, operate includes both.';
comment on column rowboat.keys.tables is 'The tables that the key is limited to; null: all.';

create unlogged table rowboat.usage (
    caller text not null,
    minute timestamptz not null,
    requests integer not null,
    primary key (caller, minute)
);
comment on table rowboat.usage is 'Requests of each caller in each minute; worth nothing a minute later.';

create table rowboat.answers (
    caller text not null,
    key text not null,
    request_sha256 text not null,
    status integer not null,
    body text not null,
    answered_at timestamptz not null default now(),
    primary key (caller, key)
);
comment on table rowboat.answers is
    'Answers by Idempotency-Key, written in the transaction of the rows: a repeated request gets them again.';
create index on rowboat.answers (answered_at);

create table rowboat.audit (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    actor text not null,
    request text not null,
    action text not null check (action in ('insert', 'update', 'upsert', 'delete')),
    table_name text not null,
    before json not null,
    after json not null
);
comment on table rowboat.audit is 'Every write over HTTP: who, what, the rows before and after.';
create index on rowboat.audit (table_name, at);

-- migrate:down
drop table rowboat.audit;
drop table rowboat.answers;
drop table rowboat.usage;
drop table rowboat.keys;
