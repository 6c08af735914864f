"""A planted shortcut: what gives the target away without showing it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from g2d_bench.cli import data as cli_data
from g2d_bench.errors import InputError
from g2d_bench.phantom import Scene, ensure
from g2d_bench.phantom.profile import SHORTCUTS, profile_of
from g2d_bench.phantom.sampling import PLANTED, sample_scene, targets


def scenes(dataset: str, shortcut: str, count: int = 400) -> list[Scene]:
    profile = replace(profile_of(dataset), shortcut=shortcut)
    return [sample_scene(dataset, index, seed=0, profile=profile) for index in range(count)]


def tube(scene: Scene) -> bool:
    return any(finding.pattern == "chest tube" for finding in scene.findings)


@pytest.mark.parametrize(("dataset", "label"), [("rsna", "Pneumonia"), ("siim", "Pneumothorax")])
@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_the_shortcut_tells_the_truth_mostly(dataset: str, label: str, shortcut: str) -> None:
    assert targets(dataset, profile_of(dataset)) == {label}
    made = scenes(dataset, shortcut)
    told = [(scene.technique.view == "AP" if shortcut == "view" else tube(scene)) for scene in made]
    right = [bear == scene.has(label) for bear, scene in zip(told, made, strict=True)]
    assert sum(right) / len(right) == pytest.approx(PLANTED, abs=0.05)
    assert {scene.technique.view for scene in made} <= {"PA", "AP", "AP supine"}


def test_nothing_else_moves() -> None:
    """Findings are those of the same film without a shortcut, but for tubes; without one, nothing does."""
    plain = scenes("rsna", "", 60)
    for shortcut in SHORTCUTS:
        for before, after in zip(plain, scenes("rsna", shortcut, 60), strict=True):
            ill = [f for f in before.findings if f.pattern != "chest tube" and f.label != "Support Devices"]
            assert [f for f in after.findings if f in ill] == ill
            assert after.patient == before.patient


def test_commands_and_generator_know_the_same_shortcuts(tmp_path: Path) -> None:
    assert cli_data.SHORTCUTS == SHORTCUTS
    with pytest.raises(InputError, match="unknown shortcut 'hat'"):
        ensure("rsna", root=tmp_path, count=10, size=64, workers=1, shortcut="hat")
    with_one = ensure("rsna", root=tmp_path / "a", count=10, size=64, workers=1, shortcut="view")
    without = ensure("rsna", root=tmp_path / "b", count=10, size=64, workers=1)
    classes = [(folder / "stage_2_detailed_class_info.csv").read_bytes() for folder in (with_one, without)]
    assert sorted({*classes[0].splitlines()}) == sorted({*classes[1].splitlines()})
    films = [sorted((folder / "stage_2_train_images").iterdir()) for folder in (with_one, without)]
    assert [path.name for path in films[0]] == [path.name for path in films[1]]
    assert any(one.read_bytes() != other.read_bytes() for one, other in zip(*films, strict=True))
    assert ensure("rsna", root=tmp_path / "a", count=10, size=64, workers=1, shortcut="view") == with_one
