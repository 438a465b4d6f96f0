"""A fixture of tests that start servers."""

from tests.support.servers import serve

__all__ = ["serve"]
