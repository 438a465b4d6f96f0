"""The server process: gunicorn and its worker class.

Read `serve` first, then `worker`, `commands`. It knows the application only as `create_app`.
"""
