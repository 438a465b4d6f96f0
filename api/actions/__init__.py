"""What both the REST API and the console do: start runs, pass rows through the door, read state.

The modules `batches`, `ingest`, `backups`, `restores` and `metrics` can be read in any order. An
action knows the caller and Airflow, but no blueprint: it returns records and raises errors.
"""
