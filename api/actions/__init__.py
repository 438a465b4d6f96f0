"""What a view of the API and a page of the console both do, each once.

Read `batches`, `ingest`, `backups`, `restores`, `metrics` in any order. An action knows who asks
and what Airflow answers, and no blueprint: it returns documents and raises errors.
"""
