"""Backup sets on the shelf, and restores that are planned, exact and can be undone.

Read `take` first, then `copy_out`, `shelf`, `sets`, `verify`, `retention`; for the way back
`restore`, `plan`, `source`, `table_restore`, `safety`, `drill`. It knows nothing of CSV files,
metrics or access.
"""
