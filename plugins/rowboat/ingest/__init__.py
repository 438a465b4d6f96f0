"""Loads CSV files into tables: which have changed, how far each is loaded, and the rest of it.

Read `run` first, then `discovery`, `position`, `load`, `file_pass`, `file_source`, `outcome`,
`rejudge`; the other modules are about files of special kinds, and about what is shown. The package
knows nothing of backups, metrics or access.
"""
