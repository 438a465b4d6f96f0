"""Backup sets on the shelf: taken, proven, kept as long as a rule keeps them, and restored.

Read `take` first, then `copy_out`, `shelf`, `sets`, `verify`, `retention`; `avro` is the format of
the files, `recovery` the way back. The package does not know CSV files, metrics or access.
"""
