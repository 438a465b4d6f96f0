"""A process with little memory, for content that would take much."""

import importlib
import multiprocessing
import resource
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

MEMORY = 256 * 2**20


def bound(module: str) -> None:
    """Load a module, then let this process take only so much more memory."""
    importlib.import_module(module)  # first: its code and samples do not count
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


@pytest.fixture(scope="module")
def child(request: pytest.FixtureRequest) -> Iterator[ProcessPoolExecutor]:
    """A process of its own that may take 256 MiB more than the module of the test."""
    spawn, module = multiprocessing.get_context("spawn"), request.module.__name__
    with ProcessPoolExecutor(1, mp_context=spawn, initializer=bound, initargs=[module]) as pool:
        yield pool
