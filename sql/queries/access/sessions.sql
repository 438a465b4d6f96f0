-- Sign-ins at the console.

-- name: begin
-- Keep a session of a caller.
insert into rowboat.sessions (token_sha256, caller, name, scope)
values (%(token)s, %(caller)s, %(name)s, %(scope)s);

-- name: known
-- Whose session it is, unless it has been idle too long or is older than the longest; the facts of
-- a key are as they are now. Is it time to note that it is in use?
select
    s.caller, coalesce(k.name, s.name) as name, coalesce(k.scope, s.scope) as scope,
    k.tables, k.per_minute, s.seen_at < now() - make_interval(mins => %(idle)s) / 20 as stale
from rowboat.sessions as s
left join rowboat.keys as k on k.id = s.caller
where s.token_sha256 = %(token)s
    and s.seen_at > now() - make_interval(mins => %(idle)s)
    and s.created_at > now() - make_interval(hours => %(longest)s)
    and k.revoked_at is null and coalesce(k.expires_at > now(), true)
    and (k.id is not null or s.caller like 'oidc:%%');

-- name: seen
-- Note that a session is in use.
update rowboat.sessions set seen_at = now() where token_sha256 = %(token)s;

-- name: end
-- End a session.
delete from rowboat.sessions where token_sha256 = %(token)s;

-- name: forget
-- Drop sessions that are over.
delete from rowboat.sessions
where seen_at < now() - make_interval(mins => %(idle)s)
    or created_at < now() - make_interval(hours => %(longest)s);
