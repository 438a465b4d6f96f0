"""The resources of the REST API, one blueprint each.

Read `tables` and `rows` first, then `row_writes`, `batches`, `uploads`, `ingest`, `rejects`,
`backups`, `restores`, `metrics`, `health`. Views know neither the console nor OpenAPI, but their
docstrings, and the first sentences of these modules, are part of the OpenAPI document.
"""
