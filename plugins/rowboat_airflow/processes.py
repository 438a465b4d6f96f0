"""Starts programs, keeps them running, and stops all that they started."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE = 11  # seconds between the polite signal and the last one
LAST_PATIENCE = 4


@dataclass
class Program:
    """A program that is to run: its log, environment, process, and when it was started."""

    name: str
    command: list[str]
    log: Path
    environment: dict[str, str]
    process: "subprocess.Popen[bytes] | None" = None
    started: list[float] = field(default_factory=list)


class Programs:
    """A group of programs that live and end together."""

    def __init__(self, environment: dict[str, str], logs: Path) -> None:
        self._environment, self._logs = environment, logs
        self._programs: list[Program] = []
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, command: list[str], without: str | None = None) -> None:
        """Start a program in a session of its own; its output goes to LOGS/NAME.log.

        Variables whose names begin with `without` are kept from it.
        """
        kept = {
            variable: value
            for variable, value in self._environment.items()
            if without is None or not variable.startswith(without)
        }
        program = Program(name, command, self._logs / f"{name}.log", kept)
        self._programs.append(program)
        self._spawn(program)

    def revive(self, tell: Callable[[str], None]) -> None:
        """Start again whatever has ended; after five ends in a minute, once in 20 seconds."""
        for program in self._programs:
            if program.process is None or program.process.poll() is None:
                continue
            now = time.monotonic()
            recent = [at for at in program.started if now - at < 60]
            if len(recent) >= 5 and now - recent[-1] < 20:
                continue
            code = program.process.returncode
            tell(f"{program.name} ended with code {code} and is started again: see {program.log}")
            _signal(program, signal.SIGKILL)
            self._spawn(program)

    def stop(self) -> None:
        """End every program and what it started; the first last, as the others report to it."""
        _end(self._programs[1:], PATIENCE)
        _end(self._programs[:1], LAST_PATIENCE)

    def _spawn(self, program: Program) -> None:
        with program.log.open("ab") as log:
            program.process = subprocess.Popen(
                program.command,
                env=program.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        program.started.append(time.monotonic())


def _end(programs: list[Program], seconds: float) -> None:
    """Ask programs to end, and end the stubborn by force."""
    for program in programs:
        _signal(program, signal.SIGTERM)
    end = time.monotonic() + seconds
    while any(map(_lives, programs)) and time.monotonic() < end:
        time.sleep(0.05)
    for program in programs:
        _signal(program, signal.SIGKILL)
        if program.process:
            program.process.wait()


def _lives(program: Program) -> bool:
    return program.process is not None and program.process.poll() is None


def _signal(program: Program, which: signal.Signals) -> None:
    """Signal a program and all that it started, even after its own end."""
    if program.process:
        with suppress(ProcessLookupError):
            os.killpg(program.process.pid, which)
