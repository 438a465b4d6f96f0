-- Hires of a year are found without reading those of all years; docs/speed.md has what it costs.
-- migrate:up
create index hired_employees_hired_date on hired_employees.hired_employees
    using brin (hired_date) with (autosummarize = on);

-- migrate:down
drop index hired_employees.hired_employees_hired_date;
