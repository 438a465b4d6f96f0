"""The tasks of the DAGs, one module for each DAG or family of DAGs.

Read `ingest` first, then `backup`, `restore`; `lineage` tells an OpenLineage server of both. They
call the library and know nothing of the API.
"""
