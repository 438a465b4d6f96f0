"""A host name of its own for each worker on one machine."""

import os
import socket


def name() -> str:
    """Return the name of this program's worker, else that of the machine."""
    return os.environ.get("WORKER", socket.gethostname())
