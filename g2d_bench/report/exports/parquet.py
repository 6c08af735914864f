"""All records as a Parquet file, one row per cell and metric."""

from __future__ import annotations

import io
from collections.abc import Mapping

from g2d_bench.errors import InputError
from g2d_bench.report.exports.base import Export, Request
from g2d_bench.report.exports.rows import frame


def write(request: Request) -> Mapping[str, bytes]:
    """Write one file.

    Raises:
        InputError: the library is not installed.
    """
    buffer = io.BytesIO()
    try:
        frame(request).to_parquet(buffer, engine="pyarrow", index=False)
    except ImportError:
        raise InputError("needs pyarrow: pip install 'g2d-bench[parquet]'", field="parquet") from None
    return {EXPORT.file: buffer.getvalue()}


EXPORT = Export(write, "records.parquet")
