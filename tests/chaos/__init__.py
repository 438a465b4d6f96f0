"""Attacks on the whole: kills under a running Airflow, full disks, cut lines, clocks that jump."""
