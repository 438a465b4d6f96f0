-- Each role gets the password that stands in the address of its secret; safe to run again.
do $$
declare
    found text[];
begin
    for found in
        select regexp_match(pg_read_file('/run/secrets/database_' || name), '://([^:]+):([^@]+)@')
        from unnest(array['owner', 'loader', 'api', 'reader', 'airflow']) as name
    loop
        execute format('alter role %I password %L', found[1], found[2]);
    end loop;
end
$$;
