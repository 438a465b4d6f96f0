"""The data dictionary: tables and their rules, as Postgres's own catalog declares them.

Read `tables` first, then `literals`, `outline`, `migrations`. It knows nothing of files, requests
or backups: only what a valid value of each column is.
"""
