"""The script that holds generated reports against real ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_without_real_reports_it_says_so_in_one_line(tmp_path: Path) -> None:
    line = [sys.executable, str(ROOT / "benchmarks" / "report_statistics.py"), "--real", str(tmp_path)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "NLMCXR_reports.tgz" in done.stderr
