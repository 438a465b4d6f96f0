-- The stage: rows as text, next to the table, in temporary tables of one session.

-- name: build
-- Stage, verdicts and matches for one table; they live as long as the session.
drop table if exists pg_temp.stage, pg_temp.verdict, pg_temp.match, pg_temp.refused, pg_temp.seen;
create temporary table stage (
    n integer generated always as identity,
    {cells}
);
create temporary table verdict (
    n integer, place integer, rule text, column_name text, message text
);
create temporary table match (
    n integer, same boolean, own boolean, previous bigint, home oid, place tid
);
create temporary table refused (
    n integer, line bigint, raw bytea, reasons jsonb, rejected_id bigint
);
create temporary table seen ({key});

-- name: clear
-- Make room for the next chunk.
truncate pg_temp.stage, pg_temp.verdict, pg_temp.match, pg_temp.refused restart identity;

-- name: set_aside
-- Keep the rows while other tables are staged.
alter table pg_temp.stage rename to {aside};

-- name: take_up
-- Go on with rows that were kept.
drop table pg_temp.stage;
alter table pg_temp.{aside} rename to stage;

-- name: fill_binary
-- Take rows in as values and text.
copy pg_temp.stage ({cells}) from stdin (format binary);

-- name: fill_csv
-- Take a chunk in; an unquoted empty field is NULL, a quoted one an empty text.
copy pg_temp.stage ({cells}) from stdin (
    format csv, delimiter {delimiter}, encoding 'UTF8'{force_null}
);

-- name: force_null
-- In columns that hold no text a quoted empty field is NULL too.
, force_null ({cells})
