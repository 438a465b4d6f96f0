-- The roles and databases of a new Postgres: each role may connect where it works, and no more; what
-- it may do there `rowboat migrate` grants.
create role rowboat_owner login;
create role rowboat_loader login;
create role rowboat_api login;
create role rowboat_reader login;
create role airflow login;

create database employee_data_db owner rowboat_owner;
create database airflow owner airflow;
revoke all on database employee_data_db, airflow, postgres from public;
grant connect, temporary on database employee_data_db
    to rowboat_owner, rowboat_loader, rowboat_api, rowboat_reader;

-- The loader judges foreign keys set by set, so it may keep the row triggers from firing.
grant set on parameter session_replication_role to rowboat_loader;
