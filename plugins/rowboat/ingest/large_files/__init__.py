"""Parts of large files, which several tasks stage at the same time and one load merges.

Read `parts` first, then `split`. The package only prepares: which rows enter a table, and when,
`ingest.load` decides, and it can do without parts.
"""
