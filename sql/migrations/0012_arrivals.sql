-- Which records of a file are new: a row that came in later from elsewhere must outlast old ones.
-- migrate:up
alter table ingest_status.ingest_status add column pass_bytes bigint not null default 0;
comment on column ingest_status.ingest_status.pass_bytes is
    'Where the last pass began. A key that occurs twice in one pass is a duplicate; after an earlier pass it is an update.';

create table ingest_status.record_hashes (
    file_id bigint not null references ingest_status.ingest_status on delete cascade,
    version integer not null,
    first_byte bigint not null,
    hashes bytea not null,
    primary key (file_id, version, first_byte)
);
alter table ingest_status.record_hashes alter column hashes set storage external;
comment on table ingest_status.record_hashes is
    'A hash of each record that a version of a file has brought: of a rewritten file, only records that were not there before change rows.';
comment on column ingest_status.record_hashes.hashes is '8 bytes per record, in the order of the file.';

-- migrate:down
drop table ingest_status.record_hashes;
alter table ingest_status.ingest_status drop column pass_bytes;
