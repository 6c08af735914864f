"""Signatures are taken apart as they were put together."""

from __future__ import annotations

import pytest

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.records.signature import NUMBERS, is_of_this_code, mixed, parse_signature, signature


def test_parts_are_those_that_were_put_in() -> None:
    cards = Catalogue.open()
    for task in cards.tasks:
        protocol = cards.protocols["clean"]
        text = signature(task, protocol, data_kind="real", data_hash="1234567890", split_hash="abcdef0123")
        parts = parse_signature(text)
        assert parts is not None
        assert (parts.task, parts.version, parts.dataset) == (task.name, task.version, task.data_name)
        assert parts.task_hash == task.digest("clean")[:4]
        assert (parts.data_kind, parts.data_hash, parts.split_hash) == ("real", "12345678", "abcdef01")
        assert (parts.split, parts.protocol, parts.protocol_version) == ("clean", "clean", protocol.version)
        assert parts.protocol_hash == protocol.digest(task.kind)[:4]
        assert parts.numbers == str(NUMBERS)
        assert is_of_this_code(text)
        assert not is_of_this_code(text[:-1] + "999")


@pytest.mark.parametrize(
    "text", ["", "x", "a@1.0#aaaa|phantom:b#bbbbbbbb|split:c#cccccccc|d@1.0#dddd", "|" * 5]
)
def test_other_texts_are_none(text: str) -> None:
    assert parse_signature(text) is None


def test_a_refusal_names_what_differs() -> None:
    one = "a@1.0#aaaa|phantom:b#bbbbbbbb|split:c#cccccccc|d@1.0#dddd|n1"
    other = one.replace("#bbbbbbbb", "#ffffffff").replace("|n1", "|n2")
    assert mixed([other, one, one], "a column") == (
        "numbers with different signatures cannot share a column (they differ in phantom:b#bbbbbbbb or "
        "phantom:b#ffffffff; n1 or n2); choose one with --signature or --protocol"
    )
