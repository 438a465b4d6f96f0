-- Batches of rows that a request sends.

-- name: rejected
-- The rejected rows of a request with all their reasons.
select line, reasons from ingest_status.rejected_rows
where source_name = %(request)s and source = 'api' and table_name = %(table)s
order by line;
