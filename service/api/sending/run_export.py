"""The report of a run as a file for a spreadsheet."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from service.api.http.call import Call, Download
from service.api.http.schema import QueryString
from service.api.sending.runs import counted_run
from service.reports import progress
from service.reports.runs.run_csv import run_csv


class ReportExportQuery(QueryString):
    """How the report is written."""

    language: Literal["zh", "en"] = Field(
        default="zh",
        description="Of the headings and of what states, reasons and roles are called.",
    )


async def export_run_report(call: Call, run_id: UUID, query: ReportExportQuery) -> Download:
    """Download a run's report as CSV, for whoever sees its counts."""
    await counted_run(call, run_id)
    report = await progress.run_report(call.conn, run_id)
    return Download("text/csv", f"run-{run_id}.csv", run_csv(report, query.language))
