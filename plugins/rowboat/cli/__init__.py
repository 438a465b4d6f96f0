"""The command line: how a person or a script uses Rowboat.

Read `terminal` first, which all commands share, then `commands`, `backups`, `keys`, `metrics`,
`sql`, `health`. No other package of the library imports it; it knows neither the API nor Airflow.
"""
