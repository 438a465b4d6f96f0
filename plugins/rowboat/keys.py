"""Keys of the API."""

from dataclasses import dataclass

from rowboat.errors import Forbidden


@dataclass(frozen=True)
class Key:
    """Who calls: `tables` limits it to some by full name."""

    id: str
    name: str
    scope: str
    tables: frozenset[str] | None = None
    per_minute: int = 600

    def may(self, scope: str) -> bool:
        """Tell whether it holds for a scope: write includes read, operate both."""
        order = ("public", "read", "write", "operate")
        return order.index(scope) <= order.index(self.scope)

    def sees(self, table: str) -> bool:
        """Tell whether it holds for a table."""
        return self.tables is None or table in self.tables

    def check(self, table: str) -> None:
        """Raise Forbidden unless it holds for a table."""
        if not self.sees(table):
            raise Forbidden(f"the key {self.id} does not hold for {table}")
