"""Tables for a terminal and for task logs, from the reports of the library.

Read `elements` first, then `loads`, `backups`. They only draw: what is shown is a dataclass that
another room made, and no other room of the library but `cli` imports them.
"""
