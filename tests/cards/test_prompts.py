"""Prompt files: what they may say, where they are found, how they enter a task's digest."""

from __future__ import annotations

from pathlib import Path

import pytest

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.io import load_card
from g2d_bench.cards.kind import KINDS
from g2d_bench.cards.prompts import PromptSet, load_prompts
from g2d_bench.cards.task import TaskCard
from g2d_bench.errors import InputError
from g2d_bench.paths import shipped

GOOD = """
title = "mine"
[label.Pneumonia]
positive = ["There is pneumonia."]
negative = ["There is no pneumonia."]
[label."Pleural Effusion"]
positive = ["fluid", "effusion"]
negative = ["no fluid"]
[method.gloria.Pneumonia]
positive = ["patchy pneumonia"]
negative = ["no pneumonia"]
"""

TASK = """
version = "1.0"
title = "x"
kind = "zero-shot"
dataset = "rsna"
labels = ["Pneumonia"]
prompts = "mine"
metrics = ["auroc"]
main = "auroc"
[split.clean]
ratios = [0.7, 0.15, 0.15]
"""


def write(folder: Path, prompts: str = GOOD, task: str = TASK) -> Path:
    (folder / "prompts").mkdir(exist_ok=True)
    (folder / "prompts" / "mine.toml").write_text(prompts)
    (folder / "own.toml").write_text(task)
    return folder / "own.toml"


def test_every_shipped_set_is_well_formed_and_covers_what_the_tasks_ask() -> None:
    names = [path.stem for path in (shipped("tasks") / "prompts").glob("*.toml")]
    assert {"findings", "published"} <= set(names)
    for name in names:
        assert load_prompts(name).name == name
    # Tasks that retrieve by class have texts of their own.
    tasks = [task for task in Catalogue.open().tasks if KINDS[task.kind].prompts]
    assert len(tasks) >= 6
    for task in tasks:
        for name in ("findings", "published"):
            assert set(task.labels) <= set(load_prompts(name).label)


def test_a_label_has_the_same_number_of_prompts_for_and_against() -> None:
    # Unequal numbers would be no error, but equal ones cannot be suspected of anything.
    for prompts in load_prompts("findings").label.values():
        assert len(prompts.positive) == len(prompts.negative) == 4


def test_a_method_s_own_prompts_go_before_the_default(tmp_path: Path) -> None:
    prompts = load_card(write(tmp_path).parent / "prompts" / "mine.toml", PromptSet)
    assert prompts.of("Pneumonia", "gloria")[0].positive == ("patchy pneumonia",)
    assert prompts.of("Pneumonia", "gloria")[1] == "gloria"
    assert prompts.of("Pneumonia", "g2d") == (prompts.label["Pneumonia"], "default")
    assert prompts.of("Pleural Effusion", "gloria")[1] == "default"
    with pytest.raises(InputError, match="did you mean 'Pneumonia'"):
        prompts.of("Pneumonias", "g2d")


def test_a_card_s_own_folder_goes_before_the_shipped_one(tmp_path: Path) -> None:
    path = write(tmp_path)
    card = load_card(path, TaskCard)
    assert card.prompts is not None
    assert card.prompts.title == "mine"
    (tmp_path / "prompts" / "findings.toml").write_text(GOOD.replace("mine", "another"))
    assert load_prompts("findings", tmp_path).title == "another"
    assert load_prompts("findings").title != "another"


@pytest.mark.parametrize(
    ("old", "new", "moves"),
    [
        ("There is pneumonia.", "Pneumonia is there.", True),
        ("patchy pneumonia", "dense pneumonia", True),
        ('"no fluid"', '"dry"', False),
        ('title = "mine"', 'title = "my own"', False),
    ],
)
def test_the_digest_moves_with_the_prompts_of_the_task_s_labels(
    tmp_path: Path, old: str, new: str, moves: bool
) -> None:
    before = load_card(write(tmp_path), TaskCard).digest("clean")
    assert old in GOOD
    after = load_card(write(tmp_path, GOOD.replace(old, new)), TaskCard).digest("clean")
    assert (before != after) == moves


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('["There is pneumonia."]', "[]", "label.Pneumonia.positive"),
        ('["There is pneumonia."]', '[" There is pneumonia."]', "blanks around it"),
        ('["There is pneumonia."]', '["..."]', "has no word"),
        ('["fluid", "effusion"]', '["fluid", "fluid"]', "stands twice"),
        ('["no pneumonia"]', '["patchy pneumonia"]', "both positive and negative"),
        ("method.gloria", "method.glorya", "method.glorya: no such method; did you mean 'gloria'"),
        ("gloria.Pneumonia", "gloria.Pneumona", "no such label; did you mean 'Pneumonia'"),
        ('negative = ["no fluid"]', "", "negative: required key is missing"),
        ('title = "mine"', 'tittle = "mine"', "tittle: unknown key"),
        ("[label.Pneumonia]", "[label.Pneumonia", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in GOOD
    card = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        load_card(card.parent / "prompts" / "mine.toml", PromptSet)
    assert words in str(caught.value)
    assert "mine.toml" in str(caught.value)
    with pytest.raises(InputError) as caught:
        load_card(card, TaskCard)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{card}: prompts: ")
    assert "mine.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('prompts = "mine"\n', "", "kind 'zero-shot' needs prompts"),
        ('prompts = "mine"', 'prompts = "nine"', "unknown prompts 'nine'; did you mean 'mine'"),
        ('"zero-shot"', '"classification"', "kind 'classification' takes no prompts"),
        ('["Pneumonia"]', '["Oedema"]', "prompts 'mine' have none for 'Oedema'"),
    ],
)
def test_a_wrong_card_is_one_line(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in TASK
    with pytest.raises(InputError) as caught:
        load_card(write(tmp_path, task=TASK.replace(old, new, 1)), TaskCard)
    assert words in str(caught.value)
