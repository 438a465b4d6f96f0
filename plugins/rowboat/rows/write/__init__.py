"""Writing: a batch of rows, a single row, a delete, a correction of a quarantined row.

Read `bodies` first, then `defaults`, `batch`, `idempotency`, `update_row`, `delete_row`,
`correction`, `audit`. It knows no web framework, and inserts and updates only through the door.
"""
