"""The documentation as a site: every page has its place in it, and it builds strictly."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Reads what is plain in the configuration, and passes over Python's objects."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load((ROOT / "mkdocs.yml").read_text("utf-8"), _Loader)
    return loaded


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    pytest.importorskip("mkdocs", reason="pip install 'g2d-bench[docs]'")
    spec = importlib.util.spec_from_file_location("site_hooks", DOCS / "site" / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pages(nav: Any) -> Iterator[str]:
    """Yield the files of a navigation, at any depth."""
    if isinstance(nav, str):
        yield nav
    for below in nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ():
        yield from pages(below)


def test_every_page_has_its_place(config: dict[str, Any], hooks: ModuleType) -> None:
    named = list(pages(config["nav"]))
    assert len(named) == len(set(named))
    there = {path.name for path in DOCS.glob("*.md")} | set(hooks.PAGES)
    assert there <= set(named)
    assert set(named) - there <= set(config["extra"]["optional"])
    assert all((ROOT / source).is_file() for source in hooks.PAGES.values())


def test_it_is_strict_and_takes_nothing_from_elsewhere(config: dict[str, Any]) -> None:
    assert config["strict"] is True
    assert {"warn"} == {rule for part in config["validation"].values() for rule in part.values()}
    assert config["theme"]["font"] is False
    assert "offline" in config["plugins"]
    # Without one of this name, its plugin has every page fetch a script.
    scripts = config["extra"]["polyfills"]
    assert [name for name in scripts if "iframe-worker" in name]
    assert all((DOCS / "site" / Path(name).name).is_file() for name in [*scripts, *config["extra_css"]])
    # Read from a disk, a folder has no page: the logo has to name its file.
    assert config["extra"]["homepage"] == "index.html"


def test_links_out_of_the_folder_are_turned(hooks: ModuleType) -> None:
    turn = hooks._turned
    assert turn("[a](../SECURITY.md#how) [b](docs/data.md)") == "[a](security.md#how) [b](data.md)"
    assert turn("[a](../README.md) [b](README.md)") == "[a](about.md) [b](README.md)"
    assert turn('<img src="docs/img/x.png">') == '<img src="img/x.png">'


def test_optional_pages_are_left_out_until_they_are_there(hooks: ModuleType) -> None:
    nav = [{"Running": [{"On a cluster": "cluster.md"}, "data.md"]}, "README.md"]
    assert list(pages(hooks._without(nav, {"cluster.md"}))) == ["data.md", "README.md"]


def test_roles_of_docstrings_are_code(hooks: ModuleType) -> None:
    html = hooks.on_page_content(
        "see :func:<code>fill</code> and :class:<code>~a.b.Cell</code>", None, None, None
    )
    assert html == "see <code>fill</code> and <code>Cell</code>"


def test_pictures_are_of_pages_that_are_there(config: dict[str, Any]) -> None:
    script = (DOCS / "site" / "screenshots.py").read_text("utf-8")
    shot = {page.removesuffix(".html") for page in re.findall(r'Shot\("[\w-]+", "([^"]+)"', script)}
    known = {page.removesuffix(".md") for page in pages(config["nav"])} | {"index", "leaderboard/index"}
    assert len(shot) >= 5
    assert shot <= known


def files_of(text: str) -> Iterator[str]:
    """Yield what the links of a built page lead to, within the site."""
    for link in re.findall(r"""<[^>]+\s(?:href|src)=["']?([^"'>\s]*)""", text):
        way = urlsplit(unescape(link))
        if not way.scheme and not way.netloc and (way.path or not way.fragment):
            yield unquote(way.path.removeprefix("/"))


def test_links_are_found() -> None:
    page = '<a href="." class=x><img alt="a b" src=img/x.png><a href="#y"><a href="a%20b.html?q#z">'
    assert list(files_of(page)) == [".", "img/x.png", "a b.html"]


@pytest.mark.slow
def test_it_builds(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    reference = (tmp_path / "site" / "reference.html").read_text("utf-8")
    assert 'id="g2d_bench.api.evaluate.evaluate"' in reference
    assert (tmp_path / "site" / "leaderboard" / "index.html").is_file()
    for page in (tmp_path / "site").glob("*.html"):
        text = page.read_text("utf-8")
        assert [link for link in files_of(text) if not (tmp_path / "site" / link).is_file()] == [], page.name
        assert not re.findall(
            r'<(?:script|img|link rel="stylesheet")[^>]+(?:src|href)="(?:https?:)?//[^"]*"', text
        )
        assert 'assets/iframe-worker.js"' in text
