"""Digests."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

import pytest
from pydantic import BaseModel

from g2d_bench.encoders import features as features_module
from g2d_bench.hashing import (
    digest_code,
    digest_file,
    digest_foreign,
    digest_json,
    digest_package,
    set_fields,
)


def test_generator_is_known_by_its_source(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a.py").write_text("raise RuntimeError('not to be imported')")
    digests = [digest_package(tmp_path)]
    for name, text in (("inner/a.py", "pass"), ("b.py", ""), ("c.toml", "d = 1"), ("note.txt", "nothing")):
        (tmp_path / name).write_text(text)
        digest_package.cache_clear()
        digests.append(digest_package(tmp_path))
    assert len(set(digests)) == 4
    assert digests[-1] == digests[-2]


def test_code_is_known_by_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    module = tmp_path / "some_module_of_ours.py"
    module.write_text("raise RuntimeError('not to be imported')")
    before = digest_code("some_module_of_ours", "json")
    assert before != digest_code("json", "some_module_of_ours")
    digest_code.cache_clear()
    assert digest_code("some_module_of_ours", "json") == before
    module.write_text("pass")
    digest_code.cache_clear()
    assert digest_code("some_module_of_ours", "json") != before
    assert all(find_spec(f"g2d_bench.{name}") for name in features_module.CODE), "every package exists"


def test_only_code_of_others_is_told_by_its_source() -> None:
    assert digest_foreign("g2d_bench.hashing") == digest_foreign("g2d_bench") == ""
    assert digest_foreign(__name__) == digest_code(__name__)


def test_json_is_digested_in_one_form() -> None:
    value = {"b": [1, 2.5, None], "a": "é"}
    assert digest_json(value) == digest_json(dict(reversed(value.items())))
    assert digest_json(value) == hashlib.sha256('{"a":"é","b":[1,2.5,null]}'.encode()).hexdigest()
    assert digest_json({"b": [2.5, 1, None], "a": "é"}) != digest_json(value)
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest_json(float("nan"))


def test_a_file_s_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    assert digest_file(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


class Card(BaseModel):
    """A card."""

    name: str
    size: int = 224
    title: str = ""


def test_only_what_a_card_says_beyond_its_defaults() -> None:
    assert set_fields(Card(name="a", size=224)) == {"name": "a"}
    assert set_fields(Card(name="a", size=64, title="A"), exclude={"title"}) == {"name": "a", "size": 64}
