"""The resources of the API, a blueprint for each.

Read `tables` and `rows` first, then `row_writes`, `batches`, `uploads`, `ingest`, `rejects`,
`backups`, `restores`, `metrics`, `health`. A view knows no page of the console and no OpenAPI.
"""
