-- Answers by Idempotency-Key, for a day.

-- name: begin
-- Be the first with a key; another who has begun is waited for. What is older than a day is gone.
delete from rowboat.answers where (caller, key) in (
    select caller, key from rowboat.answers
    where answered_at < now() - interval '1 day' for update skip locked
);
insert into rowboat.answers (caller, key, request_sha256, status, body)
values (%(caller)s, %(key)s, %(request_sha256)s, 0, '')
on conflict (caller, key) do nothing;

-- name: known
-- What was answered.
select request_sha256, status, body from rowboat.answers
where caller = %(caller)s and key = %(key)s;

-- name: keep
-- What is answered now.
update rowboat.answers set status = %(status)s, body = %(body)s
where caller = %(caller)s and key = %(key)s;
