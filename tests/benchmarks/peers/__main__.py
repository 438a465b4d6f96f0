"""Let one peer do its work and print one line of JSON: the seconds, imports apart, and versions.

PYTHONPATH=tests/benchmarks .venv-peers/bin/python -m peers NAME ADDRESS FILE [TABLE]

With a TABLE it is backed up into the file, else the file is loaded. Without any argument the line
holds the versions alone.
"""

import importlib
import json
import sys
import time
from pathlib import Path

from peers import versions


def main() -> None:
    """Work and tell."""
    if not sys.argv[1:]:
        print(json.dumps({"versions": versions()}))
        return
    name, address, file, *table = sys.argv[1:]
    peer = importlib.import_module(f"peers.{name}")
    begun = time.perf_counter()
    if table:
        peer.backup(address, table[0], Path(file))
    else:
        peer.load(address, Path(file))
    seconds = time.perf_counter() - begun
    print(json.dumps({"seconds": seconds, "versions": versions()}))


if __name__ == "__main__":
    main()
