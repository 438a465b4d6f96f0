"""The command line, the library's face.

Read `commands` first, then `backups`, `keys`, `metrics`, `serve`; `terminal` is what all commands
share, `show` and `show_backups` draw tables. No other room imports it.
"""
