"""Backup sets on the shelf, and restores that are planned, exact and can be undone.

Read `take` first, then `copy_out`, `shelf`, `sets`, `verify`, `retention`; for the way back
`restore`, `plan`, `source`, `sequence`, `table_restore`, `safety`, `drill`. The package does not
know CSV files, metrics or access.
"""
