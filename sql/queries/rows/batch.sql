-- Batches of rows that a request sends.

-- name: rejected
-- The rejected rows of a request with all their reasons.
select line, reasons from ingest_status.rejected_rows
where source_name = %(request)s and source = 'api' and table_name = %(table)s
order by line;

-- name: check_now
-- Check deferred constraints now, while an error can still be answered as a rejected row.
set constraints all immediate;
