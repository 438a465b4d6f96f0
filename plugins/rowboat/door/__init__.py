"""The one door into a table: stage, judge, match, merge, quarantine, report.

Read `passage` first, then `stage`, `context`, `staged_columns`, `judge`, `match`, `merge`,
`quarantine`, `rejected_rows`, `dependents`, `shown_sql`. It does not know where rows come from: a
file, a request and a backup are all a `Cargo`.
"""
