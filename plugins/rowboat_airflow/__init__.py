"""Rowboat in Airflow: tasks, the trigger for changed files, alerts; and `rowboat up`.

Read `tasks` first (with `dags/`), then `connections`, `outline`, `watcher`, `retries`, `alerts`,
`logs`, `console`; `up` and what it uses (`processes`, `executor`) run Airflow on one machine. It
calls the library, and knows nothing of the API but its addresses.
"""
