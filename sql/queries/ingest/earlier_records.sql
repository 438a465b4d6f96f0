-- Hashes of the records that the versions of a file have brought.

-- name: keep
-- Keep the hashes of records that follow the position of a file.
copy ingest_status.record_hashes (file_id, version, first_byte, hashes)
from stdin (format binary);

-- name: read
-- The hashes of a file's earlier versions.
select hashes from ingest_status.record_hashes
where file_id = %(id)s and version < %(version)s;

-- name: forget_earlier
-- Forget the hashes of a file's earlier versions.
delete from ingest_status.record_hashes where file_id = %(id)s and version < %(version)s;
