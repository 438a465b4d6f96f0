"""What all requests share: the caller, connections, errors, forms, versions, logs, counters.

Read `context` first, then `access`, `visitors`, `problems`, `forms`, `answers`, `requests`,
`versions`, `incoming`, `logs`, `airflow`, `prometheus`. These modules know no resource of the API
and no page.
"""
