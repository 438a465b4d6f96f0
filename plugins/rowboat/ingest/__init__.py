"""CSV files into tables: which have changed, how far each is loaded, and loading the rest.

Read `run` first, then `discovery`, `position`, `load`, `file_source`, `split`, `parts`, `rejudge`,
`reports`, `file_states`, `upload`. It knows nothing of backups, metrics or access.
"""
