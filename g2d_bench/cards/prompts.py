"""Prompts: the sentences by which zero-shot and grounding tasks ask for a finding, kept in files.

A prompt set is a TOML file in the folder ``prompts`` beside the task cards; a card names it by its stem. It
has prompts for each label, which all methods are asked with, and may have others for single methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from g2d_bench.cards.base import Card
from g2d_bench.cards.io import load_card
from g2d_bench.cards.objective import OBJECTIVES, OTHER
from g2d_bench.errors import InputError, did_you_mean
from g2d_bench.hashing import digest_json
from g2d_bench.paths import shipped

FOLDER = "prompts"
"""Folder of prompt sets beside the task cards."""
DEFAULT = "default"
"""Name of the prompts that all methods get which have none of their own."""


class Prompts(Card):
    """What is asked for one label."""

    positive: tuple[str, ...] = Field(min_length=1)
    """Texts that hold where the finding is there; grounding asks with these alone."""
    negative: tuple[str, ...] = Field(min_length=1)
    """Texts that hold where it is not."""

    @field_validator("positive", "negative")
    @classmethod
    def _sentences(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            if not any(character.isalnum() for character in text) or text != text.strip():
                raise ValueError(f"{text!r} has no word, or blanks around it")
        if len(set(value)) < len(value):
            raise ValueError("a prompt stands twice")
        return value

    @model_validator(mode="after")
    def _apart(self) -> Prompts:
        for text in set(self.positive) & set(self.negative):
            raise ValueError(f"{text!r} is both positive and negative")
        return self


class PromptSet(Card):
    """A file of prompts."""

    name: str
    title: str
    sources: tuple[str, ...] = ()
    """Where the wording, or its pattern, comes from."""
    label: dict[str, Prompts] = Field(min_length=1)
    """Label to the prompts that every method gets."""
    method: dict[str, dict[str, Prompts]] = Field(default_factory=dict)
    """Method, then label, to prompts instead of these."""

    @model_validator(mode="after")
    def _known(self) -> PromptSet:
        for method, labels in self.method.items():
            if method not in (known := [*OBJECTIVES, OTHER]):
                raise ValueError(f"method.{method}: no such method; {did_you_mean(method, known)}")
            for label in labels:
                if label not in self.label:
                    near = did_you_mean(label, list(self.label))
                    raise ValueError(f"method.{method}.{label}: no such label; {near}")
        return self

    def of(self, label: str, method: str) -> tuple[Prompts, str]:
        """Return the prompts of a label for a method.

        Args:
            label: which finding.
            method: objective of the encoder.

        Returns:
            The prompts, and whose they are: the method's name or :data:`DEFAULT`.

        Raises:
            InputError: the set does not know the label.
        """
        own = self.method.get(method, {})
        if label in own:
            return own[label], method
        if label not in self.label:
            near = did_you_mean(label, list(self.label))
            raise InputError(f"no prompts for {label!r}; {near}", file=f"{self.name}.toml", field="label")
        return self.label[label], DEFAULT

    def digest(self, labels: Sequence[str]) -> str:
        """Hash of every prompt that any method may be asked with for these labels."""
        return digest_json(
            [
                [method, label, prompts.model_dump(mode="json")]
                for method, table in ((DEFAULT, self.label), *sorted(self.method.items()))
                for label, prompts in sorted(table.items())
                if label in labels
            ]
        )


def load_prompts(name: str, folder: Path | None = None) -> PromptSet:
    """Read a prompt set.

    Args:
        name: its file's stem.
        folder: of the task card that names it; its own ``prompts`` are looked at before the shipped ones.

    Raises:
        InputError: there is none of that name, or the file is wrong.
    """
    folders = [place / FOLDER for place in (folder, shipped("tasks")) if place is not None]
    files = {path.stem: path for place in reversed(folders) for path in sorted(place.glob("*.toml"))}
    if name not in files:
        raise InputError(f"unknown prompts {name!r}; {did_you_mean(name, list(files))}", field="prompts")
    return load_card(files[name], PromptSet)
