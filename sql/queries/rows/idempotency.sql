-- Answers by Idempotency-Key, kept for a day.

-- name: begin
-- Claim a key, after waiting for a transaction that has claimed it; delete answers older than a day.
delete from rowboat.answers where (caller, key) in (
    select caller, key from rowboat.answers
    where answered_at < now() - interval '1 day' for update skip locked
);
insert into rowboat.answers (caller, key, request_sha256, status, body)
values (%(caller)s, %(key)s, %(request_sha256)s, 0, '')
on conflict (caller, key) do nothing;

-- name: known
-- The stored answer.
select request_sha256, status, body from rowboat.answers
where caller = %(caller)s and key = %(key)s;

-- name: keep
-- Store the answer.
update rowboat.answers set status = %(status)s, body = %(body)s
where caller = %(caller)s and key = %(key)s;
