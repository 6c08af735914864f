"""MLflow: an experiment with a run per cell; ``MLFLOW_TRACKING_URI`` says where."""

from __future__ import annotations

from g2d_bench.report.trackers.base import Pages, Setup, Told, library


class MLflow:
    """Logs a run per cell, and one called ``tables``.

    Args:
        setup: its project is the experiment's name.
    """

    def __init__(self, setup: Setup) -> None:
        self._mlflow = library("mlflow")
        self._mlflow.set_experiment(setup.project)

    def cell(self, told: Told) -> None:
        """Log parameters, numbers, tags and the record."""
        # Inside of a run of the user's own, cells are its children.
        nested = self._mlflow.active_run() is not None
        with self._mlflow.start_run(run_name=told.name, nested=nested, tags=dict(told.tags)):
            self._mlflow.log_params(dict(told.parameters))
            self._mlflow.log_metrics(dict(told.metrics))
            self._mlflow.log_text(told.record, "record.json")

    def end(self, pages: Pages) -> None:
        """Log tables and picture."""
        nested = self._mlflow.active_run() is not None
        with self._mlflow.start_run(run_name="tables", nested=nested):
            self._mlflow.log_text(pages.tables, "tables.md")
            self._mlflow.log_text(pages.rows.to_csv(index=False), "records.csv")
            if pages.picture is not None:
                self._mlflow.log_image(pages.picture, "curves.png")


TRACKER = MLflow
