"""The words of generated reports, read from ``words.toml``; :mod:`reports` puts them together."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator

Sentences = tuple[str, ...]
ByName = Mapping[str, Sentences]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Manner(_Table):
    """Sentences of two manners: whole ones, and those of writers who leave the verbs out."""

    prose: Sentences
    short: Sentences


class Normal(_Table):
    """Sentences that say an organ is normal, and the drawn labels with which nobody would say so."""

    organ: str
    unless: Sentences
    sentences: Sentences


class Stock(_Table):
    """A report of a normal film that is dictated again and again, and the CheXpert labels that it denies."""

    findings: str
    impression: str
    denies: Sentences


class Written(_Table):
    """What stands above the findings."""

    reasons: Sentences
    questions: Sentences
    comparisons: Sentences
    none: Sentences


class Words(_Table):
    """Lists of words and sentences, from the common to the rare.

    Attributes:
        plural: heads of nouns that take a plural verb.
        counted: heads of nouns that take an article.
        bilateral: head of a noun to its plural, of a finding on both sides.
        statements: that a finding is there.
        joined: that two are.
        bundles: that one is there and others are not.
        changes: that it is there, by how it changed.
        hedges: that it may be there.
        resolved: that it was there.
        vague: that something is there.
        causes: what may have caused an opacity; no label among them.
        sizes: finding to adjectives of extent, least to greatest, four steps; ``default`` for the others.
        zones: region to its adjectives.
        places: region, region and side, or finding, to where something of one side sits; ``both``: of two.
        nouns: finding to its names.
        patterns: finding and variant of its drawing to adjectives.
        special: finding to sentences that say it in another way.
        denied: CheXpert label to its names in lists of what is not there.
        exclusions: sentences that hold such a list.
        negations: CheXpert label to sentences that deny it.
        pairs: two CheXpert labels to sentences that deny both.
        clear: that the lungs are clear; ``clear_of``: and free of a list.
        normals: that an organ is normal.
        kept: words that turn the meaning of a sentence, and so are neither mistyped nor masked.
        normal: that nothing is wrong; ``unaltered``: that nothing has changed; ``unsure``: neither.
        asides: what is known of patient and film to sentences that say it.
        advice: what to do next.
        messages: who was told.
        fillers: what has nothing to do with the findings.
        devices: device to sentences that name it; an empty one stays silent.
        objects: kind of object to sentences that something lies on the patient; "" for any.
        organs: organ to its heads in a report that goes through them.
        stock: whole reports of normal films.
        exams: view to titles of the examination.
        techniques: view to its description.
        written: what stands above the findings.
        shortened: words to their abbreviations.
    """

    plural: Sentences
    counted: Sentences
    bilateral: Mapping[str, str]
    kept: Sentences
    statements: Manner
    joined: Manner
    bundles: Sentences
    changes: ByName
    hedges: Manner
    resolved: Sentences
    vague: Sentences
    causes: Sentences
    sizes: Mapping[str, tuple[Sentences, ...]]
    zones: ByName
    places: ByName
    both: ByName
    nouns: ByName
    patterns: ByName
    special: ByName
    denied: ByName
    exclusions: Sentences
    negations: ByName
    pairs: Mapping[tuple[str, str], Sentences]
    clear: Sentences
    clear_of: Sentences
    normals: tuple[Normal, ...]
    normal: Sentences
    unaltered: Sentences
    unsure: Sentences
    asides: ByName
    advice: Sentences
    messages: Sentences
    fillers: Sentences
    devices: ByName
    objects: ByName
    organs: ByName
    stock: tuple[Stock, ...]
    exams: ByName
    techniques: Mapping[str, str]
    written: Written
    shortened: Mapping[str, str]

    @field_validator("pairs", mode="before")
    @classmethod
    def _by_labels(cls, value: Any) -> Any:
        return {tuple(pair["labels"]): pair["sentences"] for pair in value}


WORDS = Words.model_validate(
    tomllib.loads((Path(__file__).parent / "words.toml").read_text(encoding="utf-8"))
)
