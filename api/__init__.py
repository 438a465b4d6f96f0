"""The HTTP service: a REST API to read and write rows, metrics and files, and the console.

Read `application` first, then `shared`, `actions`, `rest`, `openapi`, `console`, `server`. The
service imports the library, but neither Airflow nor the DAGs. This file must import nothing:
`server.commands` sets environment variables before the application is imported.
"""
