"""Published splits: exact sizes and defects on the real tables; structure on small inputs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from g2d_bench.data import legacy_splits as legacy
from g2d_bench.errors import InputError
from g2d_bench.readers.chexpert import COMPETITION, LABELS
from g2d_bench.readers.covidx import Covidx, read_list
from g2d_bench.readers.cxr14 import Cxr14
from g2d_bench.readers.rsna import Rsna, read_labels
from g2d_bench.readers.siim import Siim
from g2d_bench.readers.tables import read_table


def sizes(split: legacy.LegacySplit) -> tuple[int, int, int]:
    return len(split.train), len(split.valid), len(split.test)


@pytest.fixture(scope="module")
def rsna_positive(real_pack: Path) -> dict[str, bool]:
    labels = read_labels(real_pack / "annotations/rsna/stage_2_train_labels.csv.zip")
    return {patient: bool(boxes) for patient, (_, boxes) in labels.items()}


@pytest.fixture(scope="module")
def siim_rows(real_pack: Path) -> list[tuple[str, str]]:
    table = read_table(real_pack / "annotations/siim/train-rle.csv.gz", ("ImageId", "EncodedPixels"))
    return [(row["ImageId"], row["EncodedPixels"]) for row in table]


def test_rsna_sizes_and_positives(rsna_positive: dict[str, bool]) -> None:
    def positives(split: legacy.LegacySplit) -> tuple[int, ...]:
        return tuple(sum(rsna_positive[i] for i in part) for part in (split.train, split.valid, split.test))

    patients = list(rsna_positive)
    detection, classification = legacy.rsna_det(patients), legacy.rsna_cls(patients)
    assert sizes(detection) == (16010, 5337, 5337)
    assert positives(detection) == (3579, 1182, 1251)
    assert sizes(classification) == (18678, 4003, 4003)
    assert positives(classification) == (4162, 928, 922)
    assert set(detection.overlaps().values()) == {0}
    # The two protocols contaminate each other.
    assert len(set(classification.train) & set(detection.test)) == 1328
    # The order of the table does not matter, a group-by sorts.
    assert legacy.rsna_det(patients[::-1]) == detection


def test_rsna_fractions(rsna_positive: dict[str, bool]) -> None:
    train = legacy.rsna_cls(list(rsna_positive)).train
    for fraction, count, positive in ((0.01, 187, 36), (0.1, 1868, 414)):
        drawn = legacy.sample_fraction(train, fraction)
        assert (len(drawn), sum(rsna_positive[i] for i in drawn)) == (count, positive)


def test_covidx_sizes_leak_and_fractions(real_pack: Path) -> None:
    folder = real_pack / "annotations/covidx"
    train = read_list(folder / "train_COVIDx9A.txt.gz", "train")
    test = read_list(folder / "test_COVIDx9A.txt.gz", "test")
    split = legacy.covidx([s.id for s in train], [s.id for s in test])
    assert sizes(split) == (24104, 6026, 400)
    patient = {sample.id: sample.patient for sample in train}
    in_train = {patient[i] for i in split.train}
    in_valid = {patient[i] for i in split.valid}
    assert (len(in_valid), len(in_valid & in_train)) == (3821, 865)
    assert sum(patient[i] in in_train for i in split.valid) == 3036
    words = {s.id: next(label for label, value in s.labels.items() if value == 1) for s in train}
    drawn = legacy.sample_fraction(split.train, 0.01)
    assert Counter(words[i] for i in drawn) == {"COVID-19": 133, "Normal": 66, "Pneumonia": 42}
    assert len(legacy.sample_fraction(split.train, 0.1)) == 2410


def test_siim_rows_leak(siim_rows: list[tuple[str, str]]) -> None:
    ids = [image for image, _ in siim_rows]
    split = legacy.siim_rows(ids)
    assert sizes(split) == (8578, 1910, 1903)
    assert split.overlaps() == {"train&valid": 161, "train&test": 154, "valid&test": 62}
    masks = Counter(image for image, pixels in siim_rows if pixels != "-1")
    _, _, test_rows = legacy.siim_row_parts(ids)
    in_test = Counter(ids[i] for i in test_rows if siim_rows[i][1] != "-1")
    assert len(in_test) == 476
    assert sum(count < masks[image] for image, count in in_test.items()) == 183
    # What a predictor of nothing scores there under "empty = 1".
    assert (len(split.test) - len(in_test)) / len(split.test) == pytest.approx(0.750, abs=5e-4)


def test_siim_images_sizes(siim_rows: list[tuple[str, str]]) -> None:
    split = legacy.siim_images(list({image for image, _ in siim_rows}))
    assert sizes(split) == (8433, 1807, 1807)
    assert set(split.overlaps().values()) == {0}


def test_fraction_is_what_pandas_draws() -> None:
    import pandas as pd

    ids = [f"i{n}" for n in range(437)]
    for fraction in (0.01, 0.1, 0.5, 1.0):
        expected = pd.Series(ids).sample(frac=fraction, random_state=42)
        assert legacy.sample_fraction(ids, fraction) == tuple(expected)


def test_positional_drop_against_pandas() -> None:
    """The defect repeated with pandas, as the published code meets it: labels dropped, positions drawn."""
    import pandas as pd

    rng = np.random.default_rng(1)
    ids = [f"p{n}" for n in range(4000)]
    held = rng.random(4000) < 0.01
    split = legacy.chexpert_positions(ids, held.tolist(), 500, ["t"], seed=3)
    frame = pd.DataFrame({"Path": ids})[~held]
    drawn = np.random.RandomState(3).choice(len(frame), size=500, replace=False)
    assert split.valid == tuple(frame.iloc[drawn]["Path"])
    assert split.train == tuple(frame.drop(drawn, errors="ignore")["Path"])
    assert split.test == ("t",)
    overlap = split.overlaps()["train&valid"]
    assert overlap > 0.8 * 500
    neither = (~held).sum() - len(set(split.train) | set(split.valid))
    assert neither == (~held).sum() - len(split.train) - 500 + overlap


def test_positional_drop_at_the_published_size() -> None:
    """223,414 rows less 1,000: the published 4,907 leaked rows, within what another draw gives."""
    total = 223414
    held = np.zeros(total, dtype=bool)
    held[np.random.default_rng(0).choice(total, 1000, replace=False)] = True
    split = legacy.chexpert_positions([str(n) for n in range(total)], held.tolist(), 5000, [])
    assert len(split.valid) == 5000
    assert 217_414 <= len(split.train) <= 217_460
    assert 4_860 <= split.overlaps()["train&valid"] <= 4_940


def test_retrieval_set_takes_rows_with_one_label_alone() -> None:
    rng = np.random.default_rng(0)
    labels = np.zeros((6000, 14))
    column = rng.integers(0, 14, 6000)
    labels[np.arange(6000), column] = 1
    labels[::5, LABELS.index("Support Devices")] = 1  # not alone any more, unless they are the label
    labels[1::7] = np.where(labels[1::7] == 0, np.nan, labels[1::7])  # not mentioned counts as 0
    frontal = rng.random(6000) < 0.9
    chosen = np.array(legacy.chexpert_5x200(labels.tolist(), frontal.tolist()))
    assert chosen.sum() == 1000
    assert frontal[chosen].all()
    picked = np.nan_to_num(labels[chosen])
    assert (picked.sum(axis=1) == 1).all()
    counts = {label: int(picked[:, LABELS.index(label)].sum()) for label in COMPETITION}
    assert set(counts.values()) == {200}


def test_small_data_sets_scale_the_published_sizes() -> None:
    split = legacy.rsna_det([f"p{n:03d}" for n in range(100)])
    assert sizes(split) == (60, 20, 20)
    assert sum(sizes(legacy.siim_images([f"i{n}" for n in range(50)]))) == 50
    assert sizes(legacy.object_cxr([str(n) for n in range(8000)], ["d"] * 1)) == (7200, 800, 1)
    assert sizes(legacy.cxr14_official([str(n) for n in range(86524)], ["t"])) == (77872, 8652, 1)


def test_by_name_on_real_tables(real_pack: Path) -> None:
    tables = real_pack / "annotations"
    assert sizes(legacy.legacy_split("rsna_det", Rsna(tables / "rsna"))) == (16010, 5337, 5337)
    assert sizes(legacy.legacy_split("siim_rows", Siim(tables / "siim"))) == (8578, 1910, 1903)
    assert sizes(legacy.legacy_split("siim_images", Siim(tables / "siim"))) == (8433, 1807, 1807)
    assert sizes(legacy.legacy_split("covidx", Covidx(tables / "covidx"))) == (24104, 6026, 400)


def test_by_name_on_small_lists(tmp_path: Path) -> None:
    header = "Image Index,Finding Labels,Patient ID,Patient Age,Patient Gender,View Position,"
    rows = [f"{n:08d}_000.png,No Finding,{n},50,M,PA,9,9" for n in range(24)]
    (tmp_path / "Data_Entry_2017.csv").write_text("\n".join([header + "OriginalImage[Width,Height]", *rows]))
    names = [row.split(",")[0] for row in rows]
    (tmp_path / "train_val_list.txt").write_text("\n".join(names[:20]))
    (tmp_path / "test_list.txt").write_text("\n".join(names[20:]))
    split = legacy.legacy_split("cxr14_official", Cxr14(tmp_path))
    assert sizes(split) == (18, 2, 4)
    assert split.test == tuple(names[20:])


def test_by_name_complaints(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'rsna_cls'"):
        legacy.legacy_split("rsna_class", Rsna(tmp_path))
    with pytest.raises(InputError, match="one of siim, not of rsna"):
        legacy.legacy_split("siim_rows", Rsna(tmp_path))


def test_incomplete_masks_of_the_row_split(siim_rows: list[tuple[str, str]]) -> None:
    """183 of 476 positive test images lack a part of their mask; together the parts have every row once."""
    masks = legacy.siim_row_masks(siim_rows)
    assert len(masks["test"]) == 183
    whole: dict[str, set[str]] = {}
    for image, text in siim_rows:
        whole.setdefault(image, set()).add(text)
    for image, texts in masks["test"].items():
        assert 0 < len(texts) < len(whole[image])
        elsewhere = [set(masks[part].get(image, ())) for part in ("train", "val")]
        assert set(texts).union(*elsewhere) == whole[image]


def test_siim_is_balanced_to_the_published_size(siim_rows: list[tuple[str, str]]) -> None:
    positive = {image for image, text in siim_rows if text != "-1"}
    train = legacy.siim_rows([image for image, _ in siim_rows]).train
    kept = legacy.balanced(train, [image in positive for image in train])
    assert len(kept) == 4004
    assert sum(image in positive for image in kept) == 2002
    assert [image for image in train if image in set(kept)] == list(kept)
    assert len(legacy.choose_fraction(kept, 0.01, 0)) == 40
    assert len(legacy.choose_fraction(kept, 0.1, 0)) == 400


def test_the_published_draws() -> None:
    pandas = pytest.importorskip("pandas")
    names = [f"i{n}" for n in range(977)]
    for fraction in (0.01, 0.1, 0.5, 1.0):
        drawn = pandas.Series(names).sample(frac=fraction, random_state=42)
        assert legacy.sample_fraction(names, fraction) == tuple(drawn)
    assert len(legacy.choose_fraction([str(n) for n in range(16010)], 0.1, 3)) == 1601
    first, second = (legacy.choose_fraction(names, 0.1, seed) for seed in (0, 1))
    assert len(first) == len(second) == 97
    assert first != second
    # Something is left to train on, however small the set.
    assert (
        len(legacy.choose_fraction(names[:5], 0.01, 0)) == len(legacy.sample_fraction(names[:5], 0.01)) == 1
    )


def test_balancing_never_takes_more_negatives_than_there_are() -> None:
    assert legacy.balanced(["a", "b", "c"], [True, True, False]) == ("a", "b", "c")
    assert legacy.balanced(["a", "b"], [False, False]) == ()
