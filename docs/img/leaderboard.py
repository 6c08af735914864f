"""Draws the pictures of the page about the leaderboard, in a browser without a window.

python docs/img/leaderboard.py            # of results/phantom, into docs/img
python docs/img/leaderboard.py SITE OUT   # of a leaderboard that is there, into another folder
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
RECORD = "records/g2d/siim-seg@1.0/clean/0.01-s0-*.html"
VIEWS = {
    "overview": ("index.html", "#fraction=1+%25", (1200, 900)),
    "curves": ("curves.html", "", (1200, 900)),
    "compare": ("compare.html", "#first=g2d&second=mgca&world=0", (1200, 900)),
    "record": (RECORD, "", (1200, 1200)),
    "narrow": ("index.html", "", (500, 900)),
    "dark": ("index.html", "?theme=dark", (1200, 900)),
}
"""Name of a picture to its page, what stands behind the address, and the size in pixels."""


def main(arguments: list[str]) -> None:
    """Make the leaderboard, where none is given, and take the pictures."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        sys.exit(f"no browser here ({', '.join(BROWSERS)})")
    out = Path(arguments[1]).resolve() if len(arguments) > 1 else HERE
    with tempfile.TemporaryDirectory() as folder:
        site = Path(arguments[0]).resolve() if arguments else Path(folder) / "site"
        if not arguments:
            results = HERE.parents[1] / "results" / "phantom"
            words = ["leaderboard", "--results", str(results), "--out", str(site)]
            subprocess.run([sys.executable, "-m", "g2d_bench", *words], check=True)
        for name, (pattern, state, (width, height)) in VIEWS.items():
            page = next(iter(sorted(site.glob(pattern))))
            picture = out / f"leaderboard-{name}.png"
            subprocess.run(
                [
                    *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
                    *(f"--window-size={width},{height}", f"--screenshot={picture}", page.as_uri() + state),
                ],
                check=True,
                capture_output=True,
            )
            with Image.open(picture) as taken:
                rare = Image.Quantize.MAXCOVERAGE  # Else small coloured marks turn grey.
                small = taken.convert("RGB").quantize(256, rare, dither=Image.Dither.NONE)
            small.save(picture, optimize=True)
            print(f"wrote {picture}")


if __name__ == "__main__":
    main(sys.argv[1:])
