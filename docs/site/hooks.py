"""What the site needs besides the pages: files of the root as pages, and the leaderboard in a folder.

Pages are written for readers of the repository; links that lead out of docs/ are turned here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
BOARD = ROOT / "runs" / "site-leaderboard"
"""Where `make docs` puts the leaderboard before the site is built."""
PAGES = {
    "about.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
    "changelog.md": "CHANGELOG.md",
}
"""Page of the site to the file of the root that it shows."""


ASSETS = {"assets/site.css": "site.css", "assets/iframe-worker.js": "iframe-worker.js"}
"""File of the site to the one beside this file."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Leave pages out of the navigation that are optional and not there."""
    absent = {name for name in config.extra["optional"] if not (Path(config.docs_dir) / name).is_file()}
    config.nav = _without(config.nav, absent)
    return config


def _without(nav: Any, absent: set[str]) -> Any:
    if isinstance(nav, dict):
        return {title: _without(below, absent) for title, below in nav.items()}
    if isinstance(nav, list):
        return [_without(one, absent) for one in nav if not _is(one, absent)]
    return nav


def _is(entry: Any, absent: set[str]) -> bool:
    """Say whether an entry of the navigation is one of the absent pages."""
    named = list(entry.values()) if isinstance(entry, dict) else [entry]
    return any(isinstance(page, str) and page in absent for page in named)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files of the root and of this folder, and the leaderboard if it was made."""
    for name, source in ASSETS.items():
        files.append(File.generated(config, name, abs_src_path=str(Path(__file__).with_name(source))))
    for name, source in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=_turned(text)))
    if not (BOARD / "index.html").is_file():
        said = "<p>The leaderboard was not made with this build: <code>make docs</code> makes it.</p>"
        files.append(File.generated(config, "leaderboard/index.html", content=said))
        return files
    for path in sorted(BOARD.rglob("*")):
        if path.is_file():
            name = f"leaderboard/{path.relative_to(BOARD).as_posix()}"
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links to files of the root into links to their pages."""
    return _turned(markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Show the roles of docstrings as code: they are for readers of the source."""
    html = re.sub(r":(?:mod|func|class|data|meth|attr|obj):\s*(<code)", r"\1", html)
    return re.sub(r"(<code[^>]*>)~(?:\w+\.)*(\w+</code>)", r"\1\2", html)


def _turned(text: str) -> str:
    text = re.sub(r"\]\(docs/([^)\s]+)\)", r"](\1)", text)
    text = text.replace('src="docs/', 'src="')
    for page, source in PAGES.items():
        # A README.md beside a page is the index of the site, and none of the root's.
        up = r"\.\./" if source == "README.md" else r"(?:\.\./)?"
        text = re.sub(rf"\]\({up}{re.escape(source)}(#[^)\s]*)?\)", rf"]({page}\1)", text)
    return text
