-- Rows that come by HTTP.

-- name: rejected
-- The rows of a request that were refused, with all their reasons.
select line, reasons from ingest_status.rejected_rows
where source_name = %(request)s and source = 'api' and table_name = %(table)s
order by line;

-- name: check_now
-- Look at what is put off until the transaction ends, while it can still be told of a row.
set constraints all immediate;
