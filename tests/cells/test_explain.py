"""What a signature and a record say in words."""

from __future__ import annotations

from typing import Any

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cells.explain import FIELDS, explain_record, explain_signature, signature_words
from g2d_bench.records.record import Record, read_record


def test_every_field_of_a_record_has_its_words() -> None:
    assert list(FIELDS) == list(Record.model_fields)


def test_a_signature_of_a_plugin_metric_is_still_read() -> None:
    text = "siim-seg@1.0#0000|real:siim#0d483e60|split:clean#1bfcebd0|clean@1.0#708c|n1|made_up"
    assert any("no metric of this name is here" in line for line in explain_signature(text, Catalogue.open()))


def test_a_record_of_a_model_in_memory_points_to_its_author(folder: Any) -> None:
    found = folder.add("mine", 0.5)
    record = read_record(found.path)
    encoder = record.encoder.model_copy(update={"weights": "memory:abc"})
    call = "gb.evaluate(model, 'siim-seg', spec=gb.ImageSpec(size=64))"
    lines = list(
        explain_record(record.model_copy(update={"encoder": encoder, "command": call}), "x", Catalogue.open())
    )
    assert any("its author's code" in line for line in lines)
    assert f"  {call}" in lines
    assert not any("g2d-bench compare" in line for line in lines)


def test_words_of_a_signature_are_those_that_are_printed() -> None:
    text = "siim-seg@1.0#0000|real:siim#0d483e60|split:clean#1bfcebd0|clean@1.0#708c|n1"
    rows = signature_words(text, Catalogue.open())
    assert "|".join(part for part, _ in rows) == text
    printed = "\n".join(explain_signature(text, Catalogue.open()))
    assert all(words in printed for _, words in rows)
    assert signature_words("no signature", Catalogue.open()) == []
