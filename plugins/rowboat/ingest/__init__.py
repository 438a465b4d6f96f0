"""Loads CSV files into tables: which have changed, how far each is loaded, and the rest of it.

Read `run` first, then `discovery`, `position`, `load`, `file_source`, `outcome`, `rejudge`, `reports`;
then what a file may be (`known_content`, `unfinished`, `large_files`), `file_states`, `upload`. The
package knows nothing of backups, metrics or access.
"""
