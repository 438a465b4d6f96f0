-- Files whose rows were taken out of the database again.
-- migrate:up
alter table ingest_status.ingest_status
    drop constraint ingest_status_state_check,
    add constraint ingest_status_state_check
        check (state in ('loading', 'loaded', 'failed', 'unmatched', 'unloaded')),
    add column unloaded_from text check (unloaded_from in ('loading', 'loaded', 'failed', 'unmatched')),
    add constraint unloaded_from_a_state check (state <> 'unloaded' or unloaded_from is not null);
comment on column ingest_status.ingest_status.unloaded_from is
    'The state before the rows of the file were taken out; null once it is loaded again. Until then the position tells only whether the file has changed.';

alter table ingest_status.loads
    drop constraint loads_source_check,
    add constraint loads_source_check check (source in ('file', 'retry', 'api', 'backup', 'unload'));

alter table backup_status.restores
    drop constraint restores_mode_check,
    add constraint restores_mode_check check (mode in ('replace', 'merge', 'missing', 'unload'));
comment on column backup_status.restores.source_name is 'The set, or the file; of an unload, the file that was unloaded.';

-- migrate:down
comment on column backup_status.restores.source_name is 'The set, or the file.';
update backup_status.restores set undoes = null
where undoes in (select id from backup_status.restores where mode = 'unload');
delete from backup_status.restores where mode = 'unload';
alter table backup_status.restores
    drop constraint restores_mode_check,
    add constraint restores_mode_check check (mode in ('replace', 'merge', 'missing'));

delete from ingest_status.loads where source = 'unload';
alter table ingest_status.loads
    drop constraint loads_source_check,
    add constraint loads_source_check check (source in ('file', 'retry', 'api', 'backup'));

delete from ingest_status.ingest_status where unloaded_from is not null;
alter table ingest_status.ingest_status
    drop column unloaded_from,
    drop constraint ingest_status_state_check,
    add constraint ingest_status_state_check
        check (state in ('loading', 'loaded', 'failed', 'unmatched'));
