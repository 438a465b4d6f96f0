"""Rows in: the batch of a request, a row changed, deleted, or corrected in quarantine.

Read `batch` first, then `bodies`, `defaults`, `idempotency`, `update_row`, `delete_row`,
`correction`, `audit`. It knows no web framework, and writes no row but through the door.
"""
