-- Sessions of the console.

-- name: begin
-- Begin a session of a caller.
insert into rowboat.sessions (token_sha256, caller, name, scope)
values (%(token)s, %(caller)s, %(name)s, %(scope)s);

-- name: known
-- The caller of a session, unless the session was idle too long or is too old; scope and tables are
-- those that the key has now. `stale`: it is time to record that the session is in use.
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
-- Record that a session is in use.
update rowboat.sessions set seen_at = now() where token_sha256 = %(token)s;

-- name: end
-- End a session.
delete from rowboat.sessions where token_sha256 = %(token)s;

-- name: forget
-- Delete expired sessions.
delete from rowboat.sessions
where seen_at < now() - make_interval(mins => %(idle)s)
    or created_at < now() - make_interval(hours => %(longest)s);
