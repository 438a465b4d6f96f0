"""Reports to an OpenLineage server which files a load or a restore read and tables it wrote.

Airflow's OpenLineage provider reports the start and end of each task; these reports belong to the
same run. Nothing is sent if the provider is not installed or no transport is configured.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rowboat.address import Address, S3Url
from rowboat.database.connections import Connection
from rowboat.door.passage import Report


@contextmanager
def told(connection: Connection, files: Mapping[Address, str]) -> Iterator[dict[Address, Report]]:
    """Report at the end of a block, even a failed one, which file was loaded into which table.

    The block gets a dict to fill: file → the counts of its rows.
    """
    reports: dict[Address, Report] = {}
    place = connection.info
    server, database = f"postgres://{place.host}:{place.port}", place.dbname
    try:
        yield reports
    finally:
        if files and _is_active():
            from airflow.providers.openlineage.api import emit_dataset_lineage

            emit_dataset_lineage(
                inputs=[_file(file, reports.get(file)) for file in files],
                outputs=[
                    _table(server, f"{database}.{table}", reports.get(file))
                    for file, table in files.items()
                ],
            )


def _is_active() -> bool:
    try:
        from airflow.providers.openlineage.api import is_openlineage_active
    except ImportError:  # a plain install lacks the provider
        return False
    return is_openlineage_active()


def _file(file: Address, report: Report | None) -> Any:
    """Return a file as an input dataset: rows read, and an assertion that none was rejected."""
    from openlineage.client.event_v2 import InputDataset
    from openlineage.client.facet_v2 import (
        data_quality_assertions_dataset,
        input_statistics_input_dataset,
    )
    from openlineage.client.naming.dataset import S3, LocalFileSystem

    named = S3(file.bucket, file.key) if isinstance(file, S3Url) else LocalFileSystem(str(file))
    found = InputDataset(named.get_namespace(), named.get_name())
    if report:
        judged = data_quality_assertions_dataset.Assertion(
            assertion="row_count",
            name="rejected",
            success=not report.rejected,
            description="Rows that were rejected and are in quarantine.",
            severity="warn",
            expected="0",
            actual=str(report.rejected),
        )
        found.inputFacets = {
            "inputStatistics": input_statistics_input_dataset.InputStatisticsInputDatasetFacet(
                rowCount=report.read, fileCount=1
            ),
            "dataQualityAssertions": (
                data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet([judged])
            ),
        }
    return found


def _table(server: str, name: str, report: Report | None) -> Any:
    """Return a table as an output dataset, with the number of rows written."""
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import output_statistics_output_dataset

    found = OutputDataset(server, name)
    if report:
        found.outputFacets = {
            "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                rowCount=report.inserted + report.updated
            )
        }
    return found
