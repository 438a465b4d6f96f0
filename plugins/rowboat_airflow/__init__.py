"""All that knows Airflow: its console link, its change trigger, connections, running it."""
