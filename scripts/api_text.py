"""Signatures and docstrings as Markdown."""

from __future__ import annotations

import ast
import enum
import inspect
import itertools
import re
import textwrap
from collections.abc import Iterator
from typing import Any

WIDTH = 88

_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields):$")
_ITEM = re.compile(r"^    ([*\w.]+)(?: \([^)]*\))?: (.*)$")
_SENTENCE_END = re.compile(r"(?<=[a-z0-9)`'\"][.?!]) (?=[A-Z`])")


def signature(name: str, function: Any, *, is_member: bool = False) -> str:
    """A signature as it stands in the source, wrapped if it is long."""
    found = inspect.signature(function)
    parameters = list(found.parameters.values())[1 if is_member else 0 :]
    words = _words(parameters)
    start = name
    if not isinstance(function, type):
        is_async = inspect.iscoroutinefunction(function)
        start = f"async def {name}" if is_async else f"def {name}"
    end = "" if isinstance(function, type) else f" -> {_annotation(found.return_annotation)}"
    line = f"{start}({', '.join(words)}){end}"
    if len(line) <= WIDTH:
        return line
    return f"{start}(\n" + "".join(f"    {word},\n" for word in words) + f"){end}"


def _words(parameters: list[inspect.Parameter]) -> list[str]:
    """The parameters with the marks between their kinds."""
    words: list[str] = []
    kinds = [parameter.kind for parameter in parameters]
    starred = inspect.Parameter.VAR_POSITIONAL in kinds
    for at, parameter in enumerate(parameters):
        earlier = kinds[:at]
        if earlier and earlier[-1] is parameter.POSITIONAL_ONLY is not parameter.kind:
            words.append("/")
        is_keyword = parameter.kind is parameter.KEYWORD_ONLY
        if is_keyword and not starred and parameter.KEYWORD_ONLY not in earlier:
            words.append("*")
        words.append(_parameter(parameter))
    if kinds and kinds[-1] is inspect.Parameter.POSITIONAL_ONLY:
        words.append("/")
    return words


def _parameter(parameter: inspect.Parameter) -> str:
    text = f"{_stars(parameter)}{parameter.name}"
    if parameter.annotation is not parameter.empty:
        text += f": {_annotation(parameter.annotation)}"
    if parameter.default is not parameter.empty:
        text += f" = {_default(parameter.default)}"
    return text


def _stars(parameter: inspect.Parameter) -> str:
    kinds = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}
    return next((stars for kind, stars in kinds.items() if kind is parameter.kind), "")


def _annotation(annotation: Any) -> str:
    if annotation is inspect.Signature.empty or annotation is None:
        return "None"
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _default(value: Any) -> str:
    """A default as it is written: by the name of a constant where it is one."""
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    for name, constant in vars(type(value)).items():
        if constant is value is not None:
            return f"{type(value).__name__}.{name}"
    text = repr(value).replace("'", '"')
    return "..." if text.startswith("<") else text


def paragraphs(doc: str | None) -> list[str]:
    """A docstring as Markdown."""
    lines: list[str] = []
    for section, body in _sections(doc or ""):
        if section is None:
            lines += _prose(body)
        elif section in ("Returns", "Yields"):
            lines.append(f"{section}: {_joined(body)}\n")
        else:
            lines += [f"{section}:\n", *_items(body), ""]
    return lines


def _sections(doc: str) -> Iterator[tuple[str | None, list[str]]]:
    section: str | None = None
    body: list[str] = []
    for line in doc.splitlines():
        found = _SECTION.match(line)
        if found or (section is not None and line and not line.startswith(" ")):
            yield section, body
            section, body = (found[1], []) if found else (None, [line])
        else:
            body.append(line)
    yield section, body


def _prose(body: list[str]) -> list[str]:
    lines: list[str] = []
    for block in re.split(r"\n\s*\n", "\n".join(body).strip("\n")):
        if block.strip() == "::" or not block.strip():
            continue
        if block.startswith("    "):
            lines += _extend_code(lines, textwrap.dedent(block))
        else:
            lines.append(_sentences(marked(" ".join(block.split()))) + "\n")
    return lines


def _extend_code(lines: list[str], text: str) -> list[str]:
    """A block of code, joined with the one before it: a blank line is part of the example."""
    if lines and lines[-1] == "```\n":
        lines.pop()
        return ["", text, "```\n"]
    return code(text, "python")


def _items(body: list[str]) -> list[str]:
    items: list[str] = []
    for line in body:
        if found := _ITEM.match(line):
            items.append(f"- `{found[1]}`: {found[2].strip()}")
        elif line.strip() and items:
            items[-1] += f" {line.strip()}"
        elif line.strip():
            items.append(f"- {line.strip()}")
    return [marked(item) for item in items]


def _joined(body: list[str]) -> str:
    return marked(" ".join(line.strip() for line in body if line.strip()))


def marked(text: str) -> str:
    """A text with code in single back-ticks."""
    return text.replace("``", "`")


def _sentences(text: str) -> str:
    return _SENTENCE_END.sub("\n", text)


def code(text: str, language: str = "py") -> list[str]:
    """A fence: ``py`` for what is no whole program, such as a signature."""
    return [f"```{language}", text, "```\n"]


def documented(owner: Any) -> Iterator[tuple[str, str]]:
    """The names in a class or module that a docstring follows, with it."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
    body = tree.body
    if isinstance(owner, type) and isinstance(tree.body[0], ast.ClassDef):
        body = tree.body[0].body
    for statement, following in itertools.pairwise(body):
        name = assigned(statement)
        if name and isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            yield name, inspect.cleandoc(str(following.value.value))


def assigned(statement: ast.stmt) -> str | None:
    """The name that a statement assigns to, if it is one."""
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    if isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    return targets[0].id if targets and isinstance(targets[0], ast.Name) else None
