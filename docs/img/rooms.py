"""Draw the rooms of the package: ``python docs/img/rooms.py`` writes ``rooms.svg`` beside this file.

Floors are the layers of ``.importlinter``; arrows are the imports between packages, as grimp (which
import-linter brings) finds them, without those that a longer way already implies.
"""

from __future__ import annotations

import configparser
import re
import sys
import textwrap
from pathlib import Path
from xml.sax.saxutils import escape

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PACKAGE = "g2d_bench"
WIDTH, MARGIN, BOX, HEIGHT, GAP = 1000, 20, 306, 64, 34


def floors() -> list[list[str]]:
    """Read the layers, top first; packages and flat files alike."""
    config = configparser.ConfigParser()
    config.read(ROOT / ".importlinter", encoding="utf-8")
    lines = config["importlinter:contract:layers"]["layers"].split("\n")
    return [re.findall(r"\w+", line) for line in lines if line.strip()]


def is_room(name: str) -> bool:
    """Say whether a name is a package; the others are flat files of the ground."""
    return (ROOT / PACKAGE / name / "__init__.py").is_file()


def purpose(name: str) -> str:
    """Return the first line of a package's docstring."""
    text = (ROOT / PACKAGE / name / "__init__.py").read_text(encoding="utf-8")
    return text.partition('"""')[2].partition("\n")[0].removesuffix('"""')


def arrows(rooms: list[str]) -> set[tuple[str, str]]:
    """Find who imports whom among rooms, without what a longer way implies."""
    import grimp

    sys.path.insert(0, str(ROOT))
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    below: dict[str, set[str]] = {room: set() for room in rooms}
    for room in rooms:
        for other in rooms:
            if room != other and graph.direct_import_exists(
                importer=f"{PACKAGE}.{room}", imported=f"{PACKAGE}.{other}", as_packages=True
            ):
                below[room].add(other)

    def reach(room: str) -> set[str]:
        return below[room] | {far for near in below[room] for far in reach(near)}

    return {
        (room, other)
        for room in rooms
        for other in below[room]
        if not any(other in reach(between) for between in below[room])
    }


def draw(stories: list[list[str]], lines: set[tuple[str, str]]) -> str:
    """Return the picture as SVG: a floor per row, flat files in one box at the bottom."""
    upper = [[name for name in floor if is_room(name)] for floor in stories]
    upper = [floor for floor in upper if floor]
    ground = [name for floor in stories for name in floor if not is_room(name)]
    boxes, shapes = {}, []
    for row, floor in enumerate(upper):
        left = (WIDTH - len(floor) * BOX - (len(floor) - 1) * MARGIN) // 2
        for column, name in enumerate(floor):
            boxes[name] = (left + column * (BOX + MARGIN), MARGIN + row * (HEIGHT + GAP))
    for source, target in sorted(lines):
        (x, y), (to_x, to_y) = boxes[source], boxes[target]
        # Where an arrow ends tells where it came from, so that arrows do not lie on each other.
        start = x + BOX / 2 + (to_x - x) / 8
        end = to_x + BOX / 2 + (x - to_x) / 8
        shapes.append(
            f'<path d="M {start:.0f} {y + HEIGHT} C {start:.0f} {y + HEIGHT + GAP} {end:.0f} {to_y - GAP} '
            f'{end:.0f} {to_y - 2}" fill="none" stroke="#8a94a6" marker-end="url(#tip)"/>'
        )
    for name, (x, y) in boxes.items():
        shapes.append(_box(x, y, BOX, HEIGHT, name, purpose(name)))
    bottom = MARGIN + len(upper) * (HEIGHT + GAP)
    shapes.append(
        _box(MARGIN, bottom, WIDTH - 2 * MARGIN, HEIGHT, "ground", "flat files: " + ", ".join(ground), 130)
    )
    tall = bottom + HEIGHT + MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {tall}" '
            'font-family="Helvetica, Arial, sans-serif">',
            '<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="6" refY="3" orient="auto">'
            '<path d="M 0 0 L 6 3 L 0 6 z" fill="#8a94a6"/></marker></defs>',
            f'<rect width="{WIDTH}" height="{tall}" fill="#ffffff"/>',
            *shapes,
            "</svg>\n",
        ]
    )


def _box(x: int, y: int, width: int, height: int, name: str, text: str, letters: int = 46) -> str:
    words = textwrap.wrap(text, letters, max_lines=2, placeholder=" …")
    rows = "".join(
        f'<text x="{x + 12}" y="{y + 38 + 15 * row}" font-size="12" fill="#444c5c">{escape(line)}</text>'
        for row, line in enumerate(words)
    )
    return (
        f'<g data-room="{name}"><rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" '
        f'fill="#eef3fb" stroke="#5b7db1"/><text x="{x + 12}" y="{y + 20}" font-size="14" font-weight="bold" '
        f'fill="#1d2c48">{name}</text>{rows}</g>'
    )


if __name__ == "__main__":
    every = floors()
    named = [name for floor in every for name in floor if is_room(name)]
    (HERE / "rooms.svg").write_text(draw(every, arrows(named)), encoding="utf-8")
    print(f"wrote {HERE / 'rooms.svg'}")
