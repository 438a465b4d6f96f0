"""Starts programs, restarts those that end, and stops them with all their children."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE = 11  # seconds between SIGTERM and SIGKILL
LAST_PATIENCE = 4  # the same for the program that is stopped last


@dataclass
class Program:
    """A program that is to run: its log, environment, process, and times at which it started."""

    name: str
    command: list[str]
    log: Path
    environment: dict[str, str]
    process: "subprocess.Popen[bytes] | None" = None
    started: list[float] = field(default_factory=list)


class Programs:
    """A group of programs that are started and stopped together."""

    def __init__(self, environment: dict[str, str], logs: Path) -> None:
        self._environment, self._logs = environment, logs
        self._programs: list[Program] = []
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, command: list[str], without: str | None = None) -> None:
        """Start a program in a session of its own; its output goes to LOGS/NAME.log.

        It does not get environment variables whose names begin with `without`.
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
        """Restart programs that have ended; after five ends in a minute, only every 20 seconds."""
        for program in self._programs:
            if program.process is None or program.process.poll() is None:
                continue
            now = time.monotonic()
            recent = [at for at in program.started if now - at < 60]
            if len(recent) >= 5 and now - recent[-1] < 20:
                continue
            code = program.process.returncode
            tell(f"{program.name} ended with code {code} and is restarted: see {program.log}")
            # Its children may still run, and hold its port.
            _signal(program, signal.SIGKILL)
            self._spawn(program)

    def stop(self) -> None:
        """Stop all programs and their children; the first one last, as the others report to it."""
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
                # It gets a process group of its own, which Ctrl-C in the terminal does not reach,
                # and killpg reaches with all children.
                start_new_session=True,
            )
        program.started.append(time.monotonic())


def _end(programs: list[Program], seconds: float) -> None:
    """Ask programs to end, and kill those that have not after some seconds."""
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
    """Send a signal to a program and its children, even if the program itself has ended."""
    if program.process:
        with suppress(ProcessLookupError):
            os.killpg(program.process.pid, which)
