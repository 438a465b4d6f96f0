"""Tables of a restore are judged and let in one after the other, rings on promises."""

from types import SimpleNamespace
from typing import Any

import pytest

from rowboat.backup.recovery.sequence import RestoreSequence
from rowboat.errors import RestoreRefused


class Step:
    """A table that notes what is done with it."""

    def __init__(self, name: str, *parents: str, notes: list[str], refused: int = 0) -> None:
        self.name, self.notes, self.refused, self.silent = name, notes, refused, True
        self.table = SimpleNamespace(
            foreign_keys=[SimpleNamespace(parent=each) for each in parents]
        )
        self.plan = SimpleNamespace(reasons=[{"example": "no"}])
        self.dependents: dict[str, Any] = {}

    def take_up(self, cursor: Any) -> None:
        self.notes.append(f"take up {self.name}")

    def judge(self, cursor: Any, stand_ins: dict[str, str]) -> Any:
        against = ", ".join(f"{name} ({kind})" for name, kind in stand_ins.items())
        self.notes.append(f"judge {self.name} against {against or 'nothing'}")
        return SimpleNamespace(refused=self.refused)

    def foresee(self, cursor: Any, judged: Any) -> None:
        pass

    def stand_in(self, cursor: Any, judged: Any, stand_ins: dict[str, str]) -> None:
        stand_ins[self.name] = "judged" if judged else "promised"

    def count_kept(self, cursor: Any, child: "Step", inside: set[str]) -> None:
        self.notes.append(f"count rows of {child.name} that keep {self.name}")

    def check_dependents(self, found: Any) -> None:
        pass

    def let_in(self, cursor: Any, judged: Any, inside: set[str]) -> str:
        self.notes.append(f"let in {self.name}")
        return self.name


def steps_of(*steps: Step) -> tuple[Any, list[Any]]:
    sequence: Any = RestoreSequence(None, steps)  # type: ignore[arg-type]
    return sequence, list(steps)


def test_ring() -> None:
    """The drawing of RestoreSequence."""
    notes: list[str] = []
    departments = Step("departments", "employees", notes=notes)
    sequence, steps = steps_of(departments, Step("employees", "departments", notes=notes))
    for step in steps:
        sequence.judge(step)
        assert sequence.let_in(step) == step.name
    assert notes == [
        "take up departments",
        "judge departments against employees (promised)",
        "let in departments",
        "take up employees",
        "judge employees against departments (judged)",
        "let in employees",
    ]


def test_broken_promise() -> None:
    departments = Step("departments", "employees", notes=[])
    sequence, steps = steps_of(departments, Step("employees", "departments", notes=[], refused=2))
    sequence.judge(steps[0])
    with pytest.raises(RestoreRefused) as raised:
        sequence.judge(steps[1])
    assert (raised.value.fact, raised.value.hint) == (
        "2 rows of employees would be rejected, and its tables refer to each other: no",
        "restore into new tables (--into), or drop the rule first",
    )


def test_nothing_is_promised_while_triggers_fire() -> None:
    notes: list[str] = []
    departments = Step("departments", "employees", notes=notes)
    departments.silent = False
    sequence, steps = steps_of(
        departments, Step("employees", "departments", notes=notes, refused=1)
    )
    for step in steps:
        sequence.judge(step)
    assert notes[1] == "judge departments against nothing"
    assert notes[-2:] == [
        "count rows of employees that keep departments",
        "count rows of employees that keep employees",
    ]


def test_order_is_kept() -> None:
    sequence, steps = steps_of(Step("a", notes=[]), Step("b", notes=[]))
    with pytest.raises(AssertionError):
        sequence.let_in(steps[0])
    sequence.judge(steps[0])
    sequence.judge(steps[1])
    with pytest.raises(AssertionError):
        sequence.let_in(steps[0])
    with pytest.raises(AssertionError):
        RestoreSequence(None, steps).judge(steps[1])  # type: ignore[arg-type]
