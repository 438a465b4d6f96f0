"""The tasks of the DAGs, one module for each DAG or family of DAGs.

Read `ingest` first, then `backup`, `restore`; `lineage` reports loads and restores to an
OpenLineage server. Tasks call the library, and know nothing of the API.
"""
