"""Tells a lineage server what a load or a restore read and wrote, where Airflow knows one.

Airflow's OpenLineage provider tells by itself when a task starts and how it ends; what is told here
belongs to the same run. Without the provider, or without a transport for it, nothing happens.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rowboat.address import Address, S3Url
from rowboat.database.connections import Connection
from rowboat.door.passage import Report


@contextmanager
def told(connection: Connection, files: Mapping[Address, str]) -> Iterator[dict[Address, Report]]:
    """Tell at the end of a block, however it ends, which file went into which table.

    The block gets a dict to fill: file → what became of its rows.
    """
    reports: dict[Address, Report] = {}
    place = connection.info
    server, database = f"postgres://{place.host}:{place.port}", place.dbname
    try:
        yield reports
    finally:
        if files and _somebody_listens():
            from airflow.providers.openlineage.api import emit_dataset_lineage

            emit_dataset_lineage(
                inputs=[_file(file, reports.get(file)) for file in files],
                outputs=[
                    _table(server, f"{database}.{table}", reports.get(file))
                    for file, table in files.items()
                ],
            )


def _somebody_listens() -> bool:
    try:
        from airflow.providers.openlineage.api import is_openlineage_active
    except ImportError:  # a plain install lacks the provider
        return False
    return is_openlineage_active()


def _file(file: Address, report: Report | None) -> Any:
    """Return a file as a dataset, with the rows that were read and how many of them are good."""
    from openlineage.client.event_v2 import InputDataset
    from openlineage.client.facet_v2 import data_quality_assertions_dataset as assertions
    from openlineage.client.facet_v2 import input_statistics_input_dataset as statistics
    from openlineage.client.naming.dataset import S3, LocalFileSystem

    named = S3(file.bucket, file.key) if isinstance(file, S3Url) else LocalFileSystem(str(file))
    found = InputDataset(named.get_namespace(), named.get_name())
    if report:
        judged = assertions.Assertion(
            assertion="row_count", name="rejected", success=not report.rejected,
            description="Rows that were refused and wait in the quarantine.",
            severity="warn", expected="0", actual=str(report.rejected),
        )  # fmt: skip
        found.inputFacets = {
            "inputStatistics": statistics.InputStatisticsInputDatasetFacet(
                rowCount=report.read, fileCount=1
            ),
            "dataQualityAssertions":
                assertions.DataQualityAssertionsDatasetFacet([judged]),
        }  # fmt: skip
    return found


def _table(server: str, name: str, report: Report | None) -> Any:
    """Return a table as a dataset, with the rows that were written."""
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import output_statistics_output_dataset as statistics

    found = OutputDataset(server, name)
    if report:
        found.outputFacets = {
            "outputStatistics": statistics.OutputStatisticsOutputDatasetFacet(
                rowCount=report.inserted + report.updated
            )
        }
    return found
