"""A real browser without a window, where there is one."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
ANSWER = """
<script>
(async () => {
  const told = document.createElement("pre");
  told.id = "answer-of-the-test";
  try {
    told.textContent = JSON.stringify({ value: await (async () => { %s })(), errors: window.errors });
  } catch (error) {
    told.textContent = JSON.stringify({ errors: [String(error)] });
  }
  document.body.append(told);
})();
</script>
"""
LISTEN = (
    '<script>window.errors = []; addEventListener("error", (e) => window.errors.push(e.message));</script>'
)

Ask = Callable[..., Any]


def ask(
    page: Path, script: str, *, state: str = "", width: int = 1200, extra: str = "", dark: bool = False
) -> Any:
    """Open a page, run a script in it and return what it returns; the page's own errors fail the test."""
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        pytest.skip(f"no browser here ({', '.join(BROWSERS)})")
    text = page.read_text(encoding="utf-8")
    copy = page.with_name(f"asked-{page.name}")
    copy.write_text(text.replace("<head>", f"<head>{LISTEN}", 1) + extra + ANSWER % script, encoding="utf-8")
    arguments = [
        *(browser, "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},900"),
        *(
            "--virtual-time-budget=20000",
            "--dump-dom",
            f"{copy.as_uri()}{'?theme=dark' if dark else ''}{state}",
        ),
    ]
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=True)
    finally:
        copy.unlink()
    found = re.search(r'<pre id="answer-of-the-test">(.*?)</pre>', done.stdout, re.S)
    assert found is not None, done.stderr[-2000:]
    answer = json.loads(html.unescape(found[1]))
    assert answer["errors"] == []
    return answer["value"]


@pytest.fixture(scope="session")
def words() -> Callable[[Path], str]:
    """Read what a page says, without markup."""

    def read(page: Path) -> str:
        text = re.sub(r"<(script|style).*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.S)
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())

    return read


@pytest.fixture(scope="session")
def asked() -> Ask:
    """Ask a page something in a browser: ``asked(page, script, state="#kind=segmentation")``."""
    return ask
