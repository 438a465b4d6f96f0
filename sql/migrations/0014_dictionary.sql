-- By which dictionary the rows of a file were judged, and into which table they went.
-- migrate:up
alter table ingest_status.ingest_status
    add column dictionary text, add column relation oid, add column types jsonb;
comment on column ingest_status.ingest_status.dictionary is
    'The sha256 of the columns and rules by which the rows of the file, refused ones too, were last judged; null: unknown.';
comment on column ingest_status.ingest_status.relation is
    'The table that had the name when the file was begun (pg_class.oid); null: unknown.';
comment on column ingest_status.ingest_status.types is
    'Column → type, as it was when the file was begun; null: unknown.';

-- migrate:down
alter table ingest_status.ingest_status
    drop column types, drop column relation, drop column dictionary;
