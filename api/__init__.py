"""The HTTP service: rows in through the door, rows and metrics out, and the console.

Read `application` first, then `shared`, `rest`, `openapi`, `console`, `server`. It knows the
library and no other face of it. This file imports nothing: `server.commands` sets up the process
before the application is imported.
"""
