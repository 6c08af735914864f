"""From a seed to a scene."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from g2d_bench.phantom.labels import CXR14, DRAWN, OBJECT
from g2d_bench.phantom.profile import PROFILES
from g2d_bench.phantom.render.bones import HEALED
from g2d_bench.phantom.render.decoys import DECOYS
from g2d_bench.phantom.render.marks import MARKS
from g2d_bench.phantom.sampling import sample_scene
from g2d_bench.phantom.scene import Scene


def scenes(dataset: str, count: int, seed: int = 0) -> list[Scene]:
    return [sample_scene(dataset, index, seed=seed, profile=PROFILES[dataset]) for index in range(count)]


def share(found: list[Scene], label: str) -> float:
    return float(np.mean([scene.has(label) for scene in found]))


def test_scene_depends_on_arguments_only() -> None:
    forward = scenes("chexpert", 30)
    backward = [
        sample_scene("chexpert", index, seed=0, profile=PROFILES["chexpert"]) for index in reversed(range(30))
    ]
    assert forward == backward[::-1]
    assert forward != scenes("chexpert", 30, seed=1)


@pytest.mark.parametrize(
    ("dataset", "label", "rate"),
    [
        ("siim", "Pneumothorax", 0.2216),
        ("rsna", "Pneumonia", 0.225),
        ("object-cxr", OBJECT, 0.5),
        ("covidx", "COVID-19", 0.52),
    ],
)
def test_prevalence_of_targets(dataset: str, label: str, rate: float) -> None:
    found = share(scenes(dataset, 900), label)
    # Four standard errors; images of one patient are not independent, so a bit more.
    assert abs(found - rate) < 5 * (rate * (1 - rate) / 900) ** 0.5


def test_exclusive_labels_exclude_each_other() -> None:
    assert not any({"COVID-19", "Pneumonia"} <= scene.labels for scene in scenes("covidx", 800))


def test_disease_goes_with_bedside_views_and_drains() -> None:
    found = scenes("siim", 1300)
    by_view = {
        view: share([s for s in found if s.technique.view == view], "Effusion")
        for view in ("PA", "AP supine")
    }
    assert by_view["AP supine"] > 1.3 * by_view["PA"]

    def drained(scene: Scene) -> bool:
        return any(finding.pattern == "chest tube" for finding in scene.findings)

    with_air = np.mean([drained(scene) for scene in found if scene.has("Pneumothorax")])
    without = np.mean([drained(scene) for scene in found if not scene.has("Pneumothorax")])
    # A confounder: common with the finding, present without it.
    assert with_air > 0.2
    assert 0 < without < 0.06


def test_all_findings_occur_and_some_are_subtle() -> None:
    found = scenes("cxr14", 900)
    counts = Counter(finding.label for scene in found for finding in scene.findings)
    assert set(CXR14) <= set(counts)
    assert set(counts) <= set(DRAWN)
    lung = [finding for scene in found for finding in scene.findings if finding.label in CXR14]
    assert 0.15 < np.mean([finding.subtle for finding in lung]) < 0.4
    assert {scene.decoys for scene in found} - {()}


def test_follow_ups_keep_the_patient_and_say_what_changed() -> None:
    found = scenes("cxr14", 600)
    by_patient: dict[str, list[Scene]] = {}
    for scene in found:
        by_patient.setdefault(scene.patient.uid, []).append(scene)
    later = [scene for group in by_patient.values() for scene in group if scene.order]
    assert len(later) > 100
    for group in by_patient.values():
        assert len({scene.patient for scene in group}) == 1
        assert [scene.order for scene in group] == list(range(len(group)))
        assert all(not finding.change for finding in group[0].findings)
        for before, after in pairwise(group):
            for finding in after.findings:
                if finding.change in ("unchanged", "larger", "smaller"):
                    assert before.has(finding.label)
            assert all(before.has(label) and not after.has(label) for label in after.resolved)
    changes = Counter(finding.change for scene in later for finding in scene.findings)
    assert {"new", "unchanged", "larger", "smaller"} <= set(changes)


def test_data_sets_share_no_patient() -> None:
    uids = [{scene.patient.uid for scene in scenes(dataset, 60)} for dataset in PROFILES]
    assert len(set.union(*uids)) == sum(map(len, uids))
    bodies = [{scene.patient.body.ribs for scene in scenes(dataset, 60)} for dataset in PROFILES]
    assert len(set.union(*bodies)) == sum(map(len, bodies))


def test_severities_have_a_long_tail_and_bedside_patients_are_sicker() -> None:
    found = scenes("mimic-cxr", 1500)
    ill = {
        view: [f.severity for s in found if s.technique.view == view for f in s.findings if f.label in CXR14]
        for view in ("PA", "AP", "AP supine")
    }
    assert np.median(ill["PA"]) < 0.4
    assert 0.01 < np.mean(np.array(ill["PA"]) > 0.8) < 0.15
    assert np.mean(ill["AP"] + ill["AP supine"]) > np.mean(ill["PA"])


def test_tubes_go_with_the_bed_and_with_how_ill_the_patient_is() -> None:
    found = scenes("mimic-cxr", 2500)

    def ventilated(chosen: list[Scene]) -> float:
        return float(np.mean([any(f.pattern == "endotracheal tube" for f in s.findings) for s in chosen]))

    def grave(scene: Scene) -> bool:
        return any(f.severity > 0.6 for f in scene.findings if f.label in ("Edema", "Pneumonia", "Effusion"))

    supine = [scene for scene in found if scene.supine]
    assert ventilated([scene for scene in found if scene.technique.view == "PA"]) == 0
    assert ventilated(supine) > 0.2
    assert ventilated([s for s in supine if grave(s)]) > 1.2 * ventilated([s for s in supine if not grave(s)])


def test_old_marks_stay_with_the_patient_and_come_with_age() -> None:
    found = scenes("cxr14", 1500)
    old_marks = {*MARKS, HEALED}
    marks: dict[str, set[frozenset[str]]] = {}
    for scene in found:
        old = frozenset(scene.decoys) & old_marks
        marks.setdefault(scene.patient.uid, set()).add(old)
    assert all(len(sets) == 1 for sets in marks.values())
    with_marks = {
        old_age: np.mean([bool(set(s.decoys) & old_marks) for s in found if (s.patient.age > 65) == old_age])
        for old_age in (False, True)
    }
    assert with_marks[True] > 1.5 * with_marks[False] > 0
    assert {name for scene in found for name in scene.decoys} <= {*DECOYS, HEALED}
    # Where calcifications are targets, none is drawn that is not labelled.
    assert not any(set(scene.decoys) & old_marks for scene in scenes("chestxdet10", 300))
