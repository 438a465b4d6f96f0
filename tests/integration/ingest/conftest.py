"""A fixture of tests that start processes."""

from tests.support.killing import ended

__all__ = ["ended"]
