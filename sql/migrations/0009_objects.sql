-- Objects of a bucket are told from each other by their ETag, not by their time.
-- migrate:up
alter table ingest_status.ingest_status alter column file_time_ns drop default;
alter table ingest_status.ingest_status alter column file_time_ns type text using file_time_ns::text;
alter table ingest_status.ingest_status alter column file_time_ns set default '';
alter table ingest_status.ingest_status rename column file_time_ns to file_version;
comment on column ingest_status.ingest_status.file_version is
    'Changes whenever the file does: its time in nanoseconds, or the ETag of an object.';

-- migrate:down
comment on column ingest_status.ingest_status.file_version is null;
alter table ingest_status.ingest_status rename column file_version to file_time_ns;
alter table ingest_status.ingest_status alter column file_time_ns drop default;
alter table ingest_status.ingest_status alter column file_time_ns type bigint
    using case when pg_input_is_valid(file_time_ns, 'bigint') then file_time_ns::bigint else 0 end;
alter table ingest_status.ingest_status alter column file_time_ns set default 0;
