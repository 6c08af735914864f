"""The words of generated reports, read from ``words.toml``; :mod:`reports` puts them together."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator

Sentences = tuple[str, ...]
ByName = Mapping[str, Sentences]


class Words(BaseModel):
    """Lists of words and sentences; a sentence may hold ``{size}``, ``{side}``, ``{zone}`` and the like.

    Attributes:
        plural: a noun that ends so takes a plural verb.
        statements: that a finding is there.
        changes: that it is there, by how it changed.
        hedges: that it may be there.
        resolved: that it was there.
        vague: that something is there.
        sizes: finding to adjectives of extent, least to greatest, four steps; ``default`` for the others.
        zones: region to its names.
        nouns: finding to its names.
        special: finding to sentences that say it without its name.
        negations: CheXpert label to sentences that deny it.
        pairs: two CheXpert labels to sentences that deny both.
        clear: that the lungs are clear.
        normal: that nothing is wrong.
        fillers: what has nothing to do with the findings.
        low_volumes: that the patient did not breathe in.
        devices: device to sentences that name it; an empty one stays silent.
        objects: that something lies on the patient.
        exams: view to titles of the examination.
        techniques: view to its description.
        reasons: for the examination.
        questions: to it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    plural: Sentences
    statements: Sentences
    changes: ByName
    hedges: Sentences
    resolved: Sentences
    vague: Sentences
    sizes: Mapping[str, tuple[Sentences, ...]]
    zones: ByName
    nouns: ByName
    special: ByName
    negations: ByName
    pairs: Mapping[tuple[str, str], Sentences]
    clear: Sentences
    normal: Sentences
    fillers: Sentences
    low_volumes: Sentences
    devices: ByName
    objects: Sentences
    exams: ByName
    techniques: Mapping[str, str]
    reasons: Sentences
    questions: Sentences

    @field_validator("pairs", mode="before")
    @classmethod
    def _by_labels(cls, value: Any) -> Any:
        return {tuple(pair["labels"]): pair["sentences"] for pair in value}


WORDS = Words.model_validate(
    tomllib.loads((Path(__file__).parent / "words.toml").read_text(encoding="utf-8"))
)
