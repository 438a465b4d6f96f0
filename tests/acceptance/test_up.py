"""Starting and stopping the whole system."""

import socket
import subprocess

import psutil

from tests.acceptance.conftest import LOADED, ROWBOAT, System, start, stop


def test_a_taken_port_is_named_before_anything_starts(system: System) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        fresh = system.home.parent / "never"
        environment = system.environment | {
            "ROWBOAT_AIRFLOW_PORT": str(port),
            "ROWBOAT_HOME": str(fresh),
        }
        done = subprocess.run(
            [ROWBOAT, "up"], env=environment, capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 1
    assert done.stderr == (
        f"port {port} is taken, and Airflow's web page needs it\n"
        "HINT: stop what listens there (another `make run`?), or set ROWBOAT_AIRFLOW_PORT to "
        "another port\n"
    )
    assert not fresh.exists()


def test_ctrl_c_stops_everything_and_a_second_start_goes_on(system: System) -> None:
    runs = len(system.airflow.runs("ingest"))
    assert stop(system.process) < 20
    assert system.process.returncode == 0
    left = [
        each.info["cmdline"]
        for each in psutil.process_iter(["cmdline", "environ"])
        if (each.info["environ"] or {}).get("ROWBOAT_HOME") == str(system.home)
        or str(system.home) in " ".join(each.info["cmdline"] or [])
    ]
    assert left == []
    system.process = start(system.environment, system.output)
    assert len(system.airflow.runs("ingest")) > runs
    assert LOADED.search(system.output.read_text())
