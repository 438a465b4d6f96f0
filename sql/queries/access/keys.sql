-- API keys and the counts of their requests.

-- name: create
-- Store a new key with the hash of its secret.
insert into rowboat.keys (id, name, secret_sha256, scope, tables, per_minute, expires_at)
values (
    %(id)s, %(name)s, %(secret_sha256)s, %(scope)s, %(tables)s::text[], %(per_minute)s,
    now() + make_interval(days => %(days)s)
);

-- name: every
-- All keys with their state, newest first.
select
    id, name, scope, tables, per_minute, created_at, expires_at, used_at, revoked_at,
    case
        when revoked_at is not null then 'revoked'
        when expires_at <= now() then 'expired'
        else 'good'
    end as state
from rowboat.keys
order by created_at desc, id;

-- name: revoke
-- Revoke a key permanently; the first time of it is kept.
select rowboat.revoke_key(%(id)s);

-- name: known
-- A key by the ID in its token.
select
    id, name, scope, tables, per_minute, secret_sha256,
    revoked_at is not null as revoked, coalesce(expires_at <= now(), false) as expired
from rowboat.keys where id = %(id)s;

-- name: count
-- Count a request of a caller in this minute; return the count, and seconds until the next minute.
insert into rowboat.usage as u (caller, minute, requests)
values (%(caller)s, date_trunc('minute', now()), 1)
on conflict (caller, minute) do update set requests = u.requests + 1
returning requests, ceil(extract(epoch from minute + interval '1 minute' - now()))::integer;

-- name: used
-- Record that a key is in use.
update rowboat.keys set used_at = now() where id = %(caller)s;

-- name: forget
-- Delete counts of earlier minutes, except those that another transaction is deleting at this moment.
delete from rowboat.usage where (caller, minute) in (
    select caller, minute from rowboat.usage
    where minute < date_trunc('minute', now())
    for update skip locked
);
