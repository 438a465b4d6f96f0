"""Metrics: SQL files with a header, their figures, charts and workbooks.

Read `definitions` first, then `parameters`, `figures`, `answer_cache`; then `series`, `charts`,
`line_chart`, `svg`, `workbook`, `diagram`. It knows nothing of files, backups or access.
"""
