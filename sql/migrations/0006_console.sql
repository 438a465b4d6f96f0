-- Who is signed in at the console; what its pages of keys and audit need.
-- migrate:up
create table rowboat.sessions (
    token_sha256 text primary key,
    caller text not null,
    name text not null,
    scope text not null check (scope in ('read', 'write', 'operate')),
    created_at timestamptz not null default now(),
    seen_at timestamptz not null default now()
);
comment on table rowboat.sessions is
    'Sign-ins at the console; a token is 256 random bits in a cookie, kept as its hash.';
comment on column rowboat.sessions.caller is
    'The id of a key, whose own state and scope count, or the subject of an issuer.';

create function rowboat.revoke_key(key_id text) returns setof text language sql security definer
set search_path = pg_catalog, pg_temp as $$
    update rowboat.keys set revoked_at = coalesce(revoked_at, now()) where id = key_id returning id
$$;
revoke execute on function rowboat.revoke_key(text) from public;
comment on function rowboat.revoke_key(text) is
    'Ends a key for good; the first time counts. Who may call it can bring none back to life.';

alter table rowboat.audit
    add column rows_before integer not null generated always as (json_array_length(before)) stored,
    add column rows_after integer not null generated always as (json_array_length(after)) stored;
create index on rowboat.audit (at, id);
create index on rowboat.audit (actor, at, id);
create index on rowboat.audit (table_name, at, id);
drop index rowboat.audit_table_name_at_idx;

-- migrate:down
create index on rowboat.audit (table_name, at);
drop index rowboat.audit_table_name_at_id_idx, rowboat.audit_actor_at_id_idx, rowboat.audit_at_id_idx;
alter table rowboat.audit drop column rows_after, drop column rows_before;
drop function rowboat.revoke_key(text);
drop table rowboat.sessions;
