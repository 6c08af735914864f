"""Pictures of the built site by a headless Chromium: `make screenshots`. None is made by hand."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "site"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
LARGEST = 400 << 10
"""Bytes of a picture; larger ones get fewer colours."""


@dataclass(frozen=True)
class Shot:
    """A picture.

    Attributes:
        name: of the file, without suffix.
        page: path in the site, with the part behind ``#``.
        width: of the window in pixels.
        height: of the window in pixels.
        dark: whether the browser prefers dark pages.
        shown: whether a page shows it, so that it is kept in ``docs/img``; others are for looking at.
    """

    name: str
    page: str
    width: int = 1400
    height: int = 900
    dark: bool = False
    shown: bool = False


SHOTS = (
    Shot("site-start", "index.html"),
    Shot("site-reference", "reference.html"),
    Shot("site-narrow", "first-result.html", width=500),
    Shot("site-dark", "conventions.html", dark=True),
    Shot("leaderboard", "leaderboard/index.html"),
)


def main() -> int:
    """Take all pictures; 1 where there is no browser or no site."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print(f"needs one of {', '.join(BROWSERS)}", file=sys.stderr)
        return 1
    if not (SITE / "index.html").is_file():
        print("no site here: make docs", file=sys.stderr)
        return 1
    for shot in SHOTS:
        folder = ROOT / "docs" / "img" if shot.shown else ROOT / "runs" / "screenshots"
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{shot.name}.png"
        _take(browser, shot, target)
        _shrink(target)
        print(f"{target.relative_to(ROOT)}: {target.stat().st_size >> 10} KiB")
    return 0


def _take(browser: str, shot: Shot, target: Path) -> None:
    with tempfile.TemporaryDirectory() as home:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        options.append(f"--user-data-dir={home}")
        if shot.dark:
            options += ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"]
        size = f"--window-size={shot.width},{shot.height}"
        page = f"{(SITE / shot.page.partition('#')[0]).as_uri()}{''.join(shot.page.partition('#')[1:])}"
        wait = "--virtual-time-budget=5000"
        call = [browser, *options, size, wait, f"--screenshot={target}", page]
        subprocess.run(call, check=True, capture_output=True, timeout=120)


def _shrink(path: Path) -> None:
    """Pages have few colours; a palette of them is a third of the size."""
    from PIL import Image

    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(256 if path.stat().st_size < LARGEST else 64)
    small.save(path, optimize=True)


if __name__ == "__main__":
    sys.exit(main())
