"""What README and docs speak of is there: commands, pages, headings, names in Python, rooms."""

from __future__ import annotations

import ast
import configparser
import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import NamedTuple

import click
import pytest
import yaml

import g2d_bench
from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cli.main import main

ROOT = Path(__file__).parents[1]
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
WORKFLOWS = sorted((ROOT / "docs").glob("workflow-*.yml"))
CLUSTERS = [ROOT / "docs" / name for name in ("cluster-skypilot.yml", "cluster-slurm.sh")]
PAGES = [*TEXTS, *WORKFLOWS, *CLUSTERS]


OF_THE_SITE = ("leaderboard/index.html",)
"""Files that are made with the site, whose strict build finds them."""


class Named(NamedTuple):
    """A command line, where it stands, and whether it is a mere mention, which may lack arguments."""

    line: str
    where: str
    mention: bool = False


def commands(text: str, where: str) -> list[Named]:
    """Find what follows a prompt, ``run:``, a step's line, or a backtick, with continued lines."""
    folded = re.sub(r"\n +(?=--)", " ", text)
    found = re.findall(r"(^\$ |run: |^ {2,}|`)(g2d-bench [^`\n]*)", folded, re.MULTILINE)
    return [Named(line, where, before == "`") for before, line in found]


def of_group(group: click.Group, name: str) -> list[Named]:
    """Collect the examples of all help texts."""
    found: list[Named] = []
    for word, command in group.commands.items():
        full = f"{name} {word}"
        text = " ".join((command.help or "").split())
        found += [Named(line, full) for line in re.findall(r"Example: (g2d-bench .*?)$", text)]
        found += of_group(command, full) if isinstance(command, click.Group) else []
    return found


ALL = [named for page in PAGES for named in commands(page.read_text(encoding="utf-8"), page.name)]
HELP = of_group(main, "g2d-bench")


def parse(words: list[str]) -> None:
    """Let click read a command line, down to the last sub-command, and run nothing."""
    command: click.Command = main
    context = main.make_context("g2d-bench", words)
    while isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        if not rest:
            return
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command = found
        context = command.make_context(name, rest, parent=context)


@pytest.mark.parametrize("named", [*ALL, *HELP], ids=lambda named: f"{named.where}: {named.line}"[:90])
def test_the_program_takes_it(named: Named) -> None:
    line = re.split(r" (?:>|>>|\||\|\||#) ?", named.line)[0]
    try:
        parse(shlex.split(line, comments=True)[1:])
    except click.ClickException as error:
        if not (named.mention and isinstance(error, click.MissingParameter)):
            pytest.fail(f"{named.where}: {line}: {error.format_message()}")


def test_enough_is_found() -> None:
    assert len(ALL) > 60
    assert len(HELP) > 3
    with pytest.raises(click.UsageError, match="No such option"):
        parse(["run", "--no-such-option", "x"])
    with pytest.raises(click.UsageError, match="No such command"):
        parse(["walk"])


def headings(path: Path) -> set[str]:
    """Return the anchors of a page as GitHub makes them."""
    found = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in found}


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        name, _, anchor = link.partition("#")
        if name.startswith(("http://", "https://")) or link in OF_THE_SITE:
            continue
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in index, page.name


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_python_is_python_and_names_are_public(page: Path) -> None:
    for block in re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "gb":
                assert node.attr in g2d_bench.__all__, node.attr


@pytest.mark.parametrize("page", WORKFLOWS, ids=lambda page: page.name)
def test_workflows_are_such(page: Path) -> None:
    """GitHub takes them, and whoever reads a stranger's files may not write."""
    yaml = pytest.importorskip("yaml")
    flow = yaml.safe_load(page.read_text("utf-8"))
    # YAML takes "on" for a truth value.
    assert {"name", True, "permissions", "jobs"} <= set(flow)
    for job in flow["jobs"].values():
        assert job["runs-on"]
        assert job["timeout-minutes"] <= 180
        granted = flow["permissions"] | job.get("permissions", {})
        reads = [step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout")]
        if "pull_request_target" in flow[True]:
            assert all(step["with"]["persist-credentials"] is False for step in reads)
            assert not (reads and "write" in granted.values())
            # What a stranger chose is never part of a script.
            scripts = " ".join(step.get("run", "") for step in job["steps"])
            assert "${{" not in scripts


SUBMISSIONS = ROOT / "docs" / "workflow-submissions.yml"


def test_a_submission_is_reviewed_as_it_would_be_merged() -> None:
    """A pull request that is behind the main branch has no part in what came there since."""
    job = yaml.safe_load(SUBMISSIONS.read_text("utf-8"))["jobs"]["review"]
    assert job["permissions"] == {"contents": "read"}
    steps = job["steps"]
    reads = {step["with"]["path"]: step["with"] for step in steps if "checkout" in step.get("uses", "")}
    assert reads["head"]["ref"] == "refs/pull/${{ github.event.pull_request.number }}/merge"
    assert reads["head"]["fetch-depth"] == 2, "its parents are there"
    assert reads["base"]["ref"] == "${{ steps.parents.outputs.main }}"
    for read in reads.values():
        assert "repository" not in read, "a merge is of this repository"
        assert (read["lfs"], read["submodules"]) == (False, False)
    # Nothing is installed, and no folder entered, once files of the pull request are here.
    here = next(n for n, step in enumerate(steps) if "checkout" in step.get("uses", ""))
    assert not any("pip" in step.get("run", "") for step in steps[here:])
    assert not any("working-directory" in step for step in steps)
    assert [step["run"].split()[0] for step in steps[here:] if "run" in step] == ["if", "g2d-bench"]


def test_the_merge_is_that_of_what_was_pushed(tmp_path: Path) -> None:
    """The step is run as it stands, on a merge of a branch that is behind."""
    steps = yaml.safe_load(SUBMISSIONS.read_text("utf-8"))["jobs"]["review"]["steps"]
    (script,) = (step["run"] for step in steps if step.get("id") == "parents")
    here = tmp_path / "head"

    def git(*words: str) -> str:
        who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        done = subprocess.run(["git", "-C", here, *who, *words], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(name: str) -> str:
        (here / name).write_text(name)
        git("add", "-A")
        git("commit", "-qm", name)
        return git("rev-parse", "HEAD")

    here.mkdir()
    git("init", "-q", "-b", "main")
    commit("first")
    git("checkout", "-q", "-b", "theirs")
    pushed = commit("submission")
    git("checkout", "-q", "main")
    ahead = commit("merged meanwhile")
    git("merge", "-q", "--no-ff", "-m", "as GitHub does", "theirs")
    for sha, code, told in ((pushed, 0, f"main={ahead}\n"), (ahead, 1, "")):
        out = tmp_path / "out"
        out.write_text("")
        environment = os.environ | {"PUSHED": sha, "GITHUB_OUTPUT": str(out)}
        done = subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, env=environment, check=False)
        assert (done.returncode, out.read_text()) == (code, told)


def test_examples_for_clusters_are_what_these_read() -> None:
    """Names and places that SkyPilot and KubeRay require; other commands are held with those of the pages."""
    sky = yaml.safe_load((ROOT / "docs" / "cluster-skypilot.yml").read_text("utf-8"))
    assert sky.keys() == {"name", "num_nodes", "resources", "file_mounts", "setup", "run"}
    assert sky["num_nodes"] > 1
    assert "--shard auto" in sky["run"]
    kube = yaml.safe_load((ROOT / "docs" / "cluster-kuberay.yml").read_text("utf-8"))
    assert (kube["apiVersion"], kube["kind"]) == ("ray.io/v1", "RayJob")
    cluster = kube["spec"]["rayClusterSpec"]
    pins = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    assert f"ray=={cluster['rayVersion']}" in pins
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    containers = [one for group in groups for one in group["template"]["spec"]["containers"]]
    assert len({one["image"] for one in containers}) == 1, "the same version of the package everywhere"
    for group, one in zip(groups, containers, strict=True):
        volumes = {volume["name"] for volume in group["template"]["spec"]["volumes"]}
        assert {mount["name"] for mount in one["volumeMounts"]} <= volumes
        assert {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN"} <= {pair["name"] for pair in one["env"]}
    words = shlex.split(kube["spec"]["entrypoint"])
    parse(words[1:])
    assert {mount["mountPath"] for mount in containers[0]["volumeMounts"]} <= set(words)


def test_what_is_said_of_boxes_is_what_cards_and_code_say() -> None:
    rule = Catalogue.open().protocols["clean"].table("detection")
    said = (ROOT / "docs" / "protocols.md").read_text("utf-8")
    (bullet,) = re.findall(r"^\* \*\*Detection\.\*\* (.*?)^\* ", said, re.M | re.S)
    text = " ".join(bullet.split())
    for words in (
        f"below {rule.score_threshold} go (`score_threshold`;",
        f"more than {rule.nms_iou} (`nms_iou`)",
        f"the {rule.max_boxes} best of an image (`max_boxes`)",
        "the 1,000 of an image with the highest class probability",
    ):
        assert words in text
    assert "nms_pre=1000," in (ROOT / "g2d_bench" / "adapters" / "mm" / "detection.py").read_text("utf-8")


def test_readme_fits_two_screens() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 130


def test_the_picture_shows_the_rooms() -> None:
    """Arrows change with the code; `python docs/img/rooms.py` draws them again."""
    config = configparser.ConfigParser()
    config.read(ROOT / ".importlinter", encoding="utf-8")
    layers = config["importlinter:contract:layers"]["layers"]
    names: list[str] = re.findall(r"\w+", layers)
    picture = (ROOT / "docs" / "img" / "rooms.svg").read_text(encoding="utf-8")
    rooms = [name for name in names if (ROOT / "g2d_bench" / name).is_dir()]
    assert re.findall(r'data-room="(\w+)"', picture) == [*rooms, "ground"], "run `python docs/img/rooms.py`"
    for name in set(names) - set(rooms):
        assert re.search(rf"\b{name}\b", picture), name


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_modules_that_are_named_exist(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for name in re.findall(r"`((?:[a-z_]+/)+[a-z_0-9]+\.(?:py|toml))`", text):
        assert any((ROOT / folder / name).is_file() for folder in ("", "g2d_bench", "g2d_bench/phantom")), (
            name
        )


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_extras_that_are_named_exist(page: Path) -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    text = (ROOT / page).read_text("utf-8")
    named = re.findall(r"(?:g2d-bench|\.)\[([a-z,]+)\]", text) + re.findall(r"extra `\[?(\w+)\]?`", text)
    assert {name for words in named for name in words.split(",")} <= set(known)


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_code_in_tables_reads_the_same_everywhere(page: Path) -> None:
    """A bar in code that stands in a table is written in two ways by the two that show our pages."""
    assert not re.findall(r"^\|.*`[^`|]*\\\|[^`]*`", (ROOT / page).read_text("utf-8"), re.M)
