-- Who discarded refused rows and why, and how many of each file.
-- migrate:up
alter table ingest_status.rejected_rows
    add column discarded_by text,
    add column discarded_because text check (discarded_because ~ '\S'),
    add constraint discarded_with_a_reason check (
        (settled_as is not distinct from 'discarded') = (discarded_because is not null)
        and (discarded_by is null) = (discarded_because is null)
    );
comment on column ingest_status.rejected_rows.discarded_by is 'Who decided that the row is not wanted: a user, or the ID of an API key.';
comment on column ingest_status.rejected_rows.discarded_because is 'Why, in the words of that person.';

alter table ingest_status.ingest_status
    add column discarded bigint not null default 0;
comment on column ingest_status.ingest_status.discarded is 'Those of its rejected rows that were discarded.';

-- migrate:down
alter table ingest_status.ingest_status drop column discarded;
alter table ingest_status.rejected_rows drop column discarded_because, drop column discarded_by;
