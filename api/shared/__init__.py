"""What every request shares: who asks, connections, errors, forms, versions, logs, counters.

Read `context` first, then `access`, `problems`, `forms`, `requests`, `versions`, `addresses`,
`incoming`, `logs`, `airflow`, `prometheus`. It knows no resource and no page.
"""
