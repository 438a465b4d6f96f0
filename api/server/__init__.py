"""The server process: gunicorn, its worker, its start and end.

Read `serve` first, then `worker`. It knows the application only as `create_app`.
"""
