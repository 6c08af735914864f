"""What the columns of somebody's own table mean."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from g2d_bench.errors import InputError, did_you_mean
from g2d_bench.readers.tables import MISSING, Row, Table

ROLES: Mapping[str, tuple[str, ...]] = {
    "image": (
        "image",
        "film",
        "file",
        "filename",
        "path",
        "imagepath",
        "imageid",
        "imagefile",
        "dicom",
        "dcm",
    ),
    "patient": ("patient", "patientid", "subject", "subjectid", "person", "mrn", "pid"),
    "split": ("split", "part", "subset", "fold", "set"),
    "sex": ("sex", "gender", "patientsex"),
    "age": ("age", "patientage", "ageyears"),
    "view": ("view", "viewposition", "projection"),
    "device": ("device", "scanner", "manufacturer"),
    "report": ("report", "text", "reporttext"),
    "findings": ("findings", "findingssection"),
    "impression": ("impression", "conclusion"),
    "labels": ("labels", "label", "findinglabels", "diagnosis", "diagnoses", "class", "finding"),
    "mask": ("mask", "maskfile", "maskpath", "segmentation"),
    "rle": ("rle", "encodedpixels", "maskrle"),
    "boxes": ("boxes", "bboxes", "bbox", "box"),
    "region": ("boxlabel", "region", "regionlabel", "classname"),
    "x": ("x", "xmin", "left"),
    "y": ("y", "ymin", "top"),
    "w": ("w", "width"),
    "h": ("h", "height"),
    "x2": ("xmax", "right", "x2"),
    "y2": ("ymax", "bottom", "y2"),
}
"""Role to the names by which its column is known, in small letters and without signs between them."""

YES = frozenset({"1", "1.0", "yes", "true", "positive", "present", "y", "t"})
NO = frozenset({"0", "0.0", "no", "false", "negative", "absent", "n", "f"})
UNSURE = frozenset({"-1", "-1.0", "uncertain", "u"})
NOTHING = frozenset({"no finding", "no findings", "normal", "none", "negative", "healthy", "no_finding"})
PARTS: Mapping[str, str] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validate", "validation", "dev", "tune"), "valid"),
    **dict.fromkeys(("test", "testing", "holdout"), "test"),
}
"""Words for the parts of a split."""
MOSTLY = 0.9
"""Share of a column's values that are 1, 0 or -1 from which it is a label, and another value an error."""
PROSE = 6
"""Words of a cell from which a column is a text and no list of labels."""


@dataclass(frozen=True)
class Meaning:
    """How a table is read.

    Attributes:
        roles: role (:data:`ROLES`) to column.
        flags: columns with 1, 0, -1 or nothing; their names are labels.
        listed: labels that stand by name in the column of the role ``labels``.
        masks: label to a column of mask files.
        rles: label to a column of run lengths.
        region: label of boxes that have none of their own; "" where each has.
        rle: how run lengths count: ``absolute`` or ``relative``, see :mod:`g2d_bench.readers.rle`.
        others: columns that are not read, with the reason.
    """

    roles: Mapping[str, str]
    flags: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    masks: Mapping[str, str] = field(default_factory=dict)
    rles: Mapping[str, str] = field(default_factory=dict)
    region: str = ""
    rle: str = "absolute"
    others: tuple[tuple[str, str], ...] = ()

    @property
    def has_boxes(self) -> bool:
        """Whether the table has boxes."""
        return "boxes" in self.roles or "x" in self.roles

    @property
    def drawn(self) -> tuple[str, ...]:
        """Labels with masks, in the order in which a sample keeps them."""
        return tuple(sorted({*self.masks, *self.rles}))


def plain_name(column: str) -> str:
    """Return a column's name in small letters and without signs between them."""
    return re.sub(r"[^a-z0-9]", "", column.lower())


def understand(
    table: Table,
    *,
    given: Mapping[str, str] | None = None,
    labels: Sequence[str] = (),
    region: str = "",
    rle: str = "absolute",
) -> Meaning:
    """Say what each column of a table is.

    Args:
        table: the table.
        given: role to column, where the user says so.
        labels: columns that are labels; empty for all that look like it.
        region: label of masks and boxes that name none.
        rle: how run lengths count.

    Raises:
        InputError: no column names the images; a role or a column is unknown; two columns have one role; a
            label has a value that is none; a mask or a box belongs to nobody knows which label.
    """
    roles = _roles(table, given or {})
    masks, rles = _regions(table, "mask"), _regions(table, "rle")
    free = [c for c in table.columns if c and c not in {*roles.values(), *masks.values(), *rles.values()}]
    for label in labels:
        if label not in table.columns:
            raise _no_column(table, label, "--label")
        if label in roles.values():
            raise InputError(f"{label!r} is read as something else already", file=table.path, field="--label")
    # Folds 0 and 1 are no label.
    looked = [column for column in free if plain_name(column) not in ROLES["split"]]
    flags = tuple(labels) or tuple(column for column in looked if _is_flag(table, column))
    listed: tuple[str, ...] = ()
    if "labels" in roles:
        column = roles["labels"]
        if column not in flags and _is_flag(table, column):
            flags = (*flags, column)
            del roles["labels"]
        else:
            listed = _names(table, column)
    for column in flags:
        for row in table:
            flag(row, column)
    known = tuple(dict.fromkeys((*flags, *listed)))
    for role, where in (("mask", masks), ("rle", rles)):
        if role in roles:
            column = roles.pop(role)
            where[_one_label(table, region, known, column)] = column
    both = set(masks) & set(rles)
    if both:
        raise InputError(f"{min(both)!r} has masks as files and as run lengths", file=f"{table.path}:1")
    boxes = ("x" in roles or "boxes" in roles) and "region" not in roles
    if "boxes" in roles and all(":" in value for value in _values(table, roles["boxes"])):
        boxes = False
    own = _one_label(table, region, known, roles.get("x", roles.get("boxes", ""))) if boxes else ""
    others = tuple((c, _why(table, c)) for c in free if c not in flags)
    return Meaning(roles, flags, listed, masks, rles, own, rle, others)


def _roles(table: Table, given: Mapping[str, str]) -> dict[str, str]:
    for role, column in given.items():
        if role not in ROLES:
            raise InputError(f"unknown role {role!r}; {did_you_mean(role, list(ROLES))}", field="--column")
        if column not in table.columns:
            raise _no_column(table, column, "--column")
    roles = dict(given)
    for role, names in ROLES.items():
        if role in roles:
            continue
        found = [c for c in table.columns if c not in roles.values() and plain_name(c) in names]
        if role == "split":
            found = [column for column in found if _has_parts(table, column)]
        # The better known name wins, such as image before file.
        found.sort(key=lambda column: names.index(plain_name(column)))
        if found:
            roles[role] = found[0]
    if "image" not in roles:
        raise InputError(
            f"no column names the films; say which: --column image=NAME ({', '.join(table.columns)})",
            file=f"{table.path}:1",
        )
    if "findings" in roles and "impression" not in roles and not _is_prose(table, roles["findings"]):
        roles.setdefault("labels", roles.pop("findings"))
        roles.pop("findings", None)
    corners = [role for role in ("x2", "y2") if role in roles]
    sides = [role for role in ("w", "h") if role in roles]
    if {"x", "y"} <= roles.keys() and (len(corners) == 2 or len(sides) == 2):
        for role in corners if len(sides) == 2 else sides:
            del roles[role]
    else:
        # Alone, width and height are those of the film.
        for role in ("x", "y", "w", "h", "x2", "y2"):
            if role not in given:
                roles.pop(role, None)
    if "x" in roles and "labels" in roles and "region" not in roles and not _is_flag(table, roles["labels"]):
        # A label beside each box is that of the box.
        roles["region"] = roles.pop("labels")
    return roles


def _regions(table: Table, word: str) -> dict[str, str]:
    """Return label to column, of columns such as ``mask:Pneumothorax``."""
    found = {}
    for column in table.columns:
        head, colon, label = column.partition(":")
        if colon and plain_name(head) in ROLES[word] and label.strip():
            found[label.strip()] = column
    return found


def _one_label(table: Table, region: str, known: Sequence[str], column: str) -> str:
    if region:
        return region
    if len(known) == 1:
        return known[0]
    choice = f"one of {', '.join(known[:6])}, or another name" if known else "a name"
    raise InputError(
        f"which label does it show? Give --region with {choice}", file=f"{table.path}:1", field=column
    )


def _no_column(table: Table, column: str, field: str) -> InputError:
    near = did_you_mean(column, list(table.columns))
    return InputError(f"no column {column!r}; {near}", file=f"{table.path}:1", field=field)


def _values(table: Table, column: str) -> list[str]:
    return [row[column] for row in table if row[column] not in MISSING]


def _is_flag(table: Table, column: str) -> bool:
    values = [value.lower() for value in _values(table, column)]
    fitting = sum(value in YES or value in NO or value in UNSURE for value in values)
    return bool(values) and fitting >= MOSTLY * len(values)


def _has_parts(table: Table, column: str) -> bool:
    return any(value.lower() in PARTS for value in _values(table, column))


def _is_prose(table: Table, column: str) -> bool:
    return any(len(value.split()) > PROSE for value in _values(table, column))


def _names(table: Table, column: str) -> tuple[str, ...]:
    found = {name for row in table for name in names_in(row[column]) or ()}
    return tuple(sorted(found))


def _why(table: Table, column: str) -> str:
    values = sorted(set(_values(table, column)))
    if not values:
        return "empty"
    some = ", ".join(value[:20] for value in values[:3]) + (", …" if len(values) > 3 else "")
    if plain_name(column) in ROLES["split"] and not _has_parts(table, column):
        return f"no parts such as train, val and test: {some}"
    return f"neither a label nor a known word: {some}"


def names_in(cell: str) -> list[str] | None:
    """Return the labels that a cell lists, none for ``No Finding`` and the like; None for an empty cell."""
    if cell in MISSING - {"None"}:
        return None
    words = [word.strip() for word in re.split(r"[|;,]", cell)]
    return [word for word in words if word and word.lower() not in NOTHING]


def flag(row: Row, column: str) -> float:
    """Return 1, 0, -1, or NaN for an empty cell.

    Raises:
        InputError: the cell says something else.
    """
    word = row[column].lower()
    if row[column] in MISSING:
        return float("nan")
    for value, words in ((1.0, YES), (0.0, NO), (-1.0, UNSURE)):
        if word in words:
            return value
    raise row.error(f"{row[column]!r} is none of 1, 0, -1 (uncertain) and empty", column)
