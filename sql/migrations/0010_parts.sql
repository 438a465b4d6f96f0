-- A place for parts of large files, which several workers stage at once.
-- migrate:up
create schema rowboat_parts;
comment on schema rowboat_parts is
    'Parts of files that wait for their load: a table for each, made and dropped by the loader. Its comment tells '
    'what it was made of; a part that no longer fits its file is not used. All of them may be dropped at any time.';

-- migrate:down
drop schema rowboat_parts cascade;
