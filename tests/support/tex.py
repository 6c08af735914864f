"""A reader of the little LaTeX that tables are written in: what a compiler would stop at, without one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

COMMANDS = {
    *("begin", "end", "centering", "caption", "par", "smallskip", "toprule", "midrule", "bottomrule"),
    *(
        "cmidrule",
        "multicolumn",
        "emph",
        "textbf",
        "textsuperscript",
        "resizebox",
        "linewidth",
        "footnotesize",
    ),
    *(
        "scriptsize",
        "setlength",
        "tabcolsep",
        "textbackslash",
        "textasciitilde",
        "textasciicircum",
        "textless",
    ),
    *("textgreater", "textbar", "textquotedbl", "textquotesingle", "textasciigrave", "dots", "textdagger"),
    *("S", "P", "pm", "cdot", "to", "ge", "le", "times", "endhead", "newline", "begingroup", "endgroup"),
}
"""What LaTeX, booktabs, graphicx, rotating, textcomp and longtable define, of that which tables use."""
TABLES = ("tabular", "longtable")
RULES = {"toprule", "midrule", "bottomrule", "cmidrule", "endhead", "smallskip"}
_TOKEN = re.compile(r"\\([A-Za-z]+)\*?|\\(.)|([{}$&#_^%])|(\n)|([^\\{}$&#_^%\n]+)", re.S)


@dataclass
class _Frame:
    name: str
    depth: int
    columns: int = 0
    cells: int = 1
    said: bool = False
    rows: int = field(default=0)


def faults(text: str) -> list[str]:
    """List what is wrong with a piece of LaTeX; nothing where it can be set."""
    found: list[str] = []
    stack: list[_Frame] = []
    depth, math, at = 0, False, 0

    def group(start: int) -> tuple[str, int]:
        """Return the group in braces that begins at or after ``start``, and where it ends."""
        while start < len(text) and text[start] in " %\n":
            start += 1
        if start >= len(text) or text[start] != "{":
            return "", start
        level = 0
        for end in range(start, len(text)):
            escaped = end > 0 and text[end - 1] == "\\"
            level += {"{": 1, "}": -1}.get(text[end], 0) * (not escaped)
            if level == 0:
                return text[start + 1 : end], end + 1
        return text[start + 1 :], len(text)

    def end_of_row(frame: _Frame, where: int) -> None:
        if frame.cells != frame.columns and (frame.said or frame.cells > 1):
            line = text.count("\n", 0, where) + 1
            found.append(f"line {line}: {frame.cells} cells in a row of {frame.columns} columns")
        frame.cells, frame.said = 1, False
        frame.rows += 1

    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            return [*found, f"cannot be read at {at}"]
        at = match.end()
        command, symbol, special, newline, words = match.groups()
        table = stack[-1] if stack and stack[-1].name in TABLES else None
        top = table is not None and depth == table.depth
        line = text.count("\n", 0, match.start()) + 1
        if special == "%":
            at = text.find("\n", at) + 1 or len(text)
        elif special == "{":
            depth += 1
        elif special == "}":
            depth -= 1
            if depth < (stack[-1].depth if stack else 0):
                found.append(f"line {line}: a brace too many")
        elif special == "$":
            math = not math
        elif special == "&":
            if table is None or not top:
                found.append(f"line {line}: & outside of a table")
            else:
                table.cells += 1
        elif special in ("#", "_", "^") and not math:
            found.append(f"line {line}: {special} is not escaped")
        elif command in ("begin", "end"):
            name, at = group(at)
            if command == "begin":
                frame = _Frame(name, depth)
                if name in TABLES:
                    at = at if text[at : at + 1] != "[" else text.find("]", at) + 1
                    columns, at = group(at)
                    bare = re.sub(r"[@!>p]\{([^{}]|\{[^{}]*\})*\}", lambda m: "p" * (m[0][0] == "p"), columns)
                    frame.columns = len(re.findall("[lcrp]", bare))
                stack.append(frame)
                continue
            if not stack or stack[-1].name != name or stack[-1].depth != depth:
                found.append(f"line {line}: \\end{{{name}}} closes nothing that is open")
                continue
            closed = stack.pop()
            if closed.name in TABLES and (closed.said or closed.cells > 1):
                end_of_row(closed, match.start())
            if stack and stack[-1].name in TABLES:
                stack[-1].said = True
        elif command == "multicolumn":
            wide, at = group(at)
            if table is None or not wide.isdigit():
                found.append(f"line {line}: \\multicolumn outside of a table")
            else:
                table.cells += int(wide) - 1
                table.said = True
        elif command is not None:
            if command not in COMMANDS:
                found.append(f"line {line}: \\{command} is not known")
            if command == "cmidrule":
                at = text.find("}", at) + 1
            elif table is not None and command not in RULES:
                table.said = True
        elif symbol == "\\":
            if table is not None and top:
                end_of_row(table, match.start())
            elif table is None:
                found.append(f"line {line}: a line ends outside of a table")
            if text[at : at + 1] == "[":
                at = text.find("]", at) + 1
        elif symbol is not None or words is not None:
            if words is not None and not words.isascii() and any(ord(letter) > 0xFF for letter in words):
                found.append(f"line {line}: a letter that T1 fonts have not")
            if table is not None and (symbol is not None or words.strip()):
                table.said = True
        elif newline is not None and math:
            found.append(f"line {line}: $ is open at the end of the line")
            math = False
    found += [f"\\begin{{{frame.name}}} is not closed" for frame in stack]
    return found + ([f"{depth} braces are open"] if depth else []) + (["$ is open"] if math else [])
