"""Tells workers on one machine apart."""

import os
import socket


def name() -> str:
    """Return the name of this program's worker, else that of the machine."""
    return os.environ.get("WORKER", socket.gethostname())
