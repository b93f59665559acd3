"""Checks of an e-mail template's source: syntax, variables, escaping and the files it refers to."""

from __future__ import annotations

import traceback
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jinja2 import TemplateSyntaxError, meta, nodes

if TYPE_CHECKING:
    from jinja2 import Environment

SUFFIX = ".j2"


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateProblem:
    """Something that is wrong with a template.

    Attributes:
        file: the name of its file.
        line: where; ``None``: no single line.
        text: what is wrong, and what is accepted.
    """

    file: str
    line: int | None
    text: str

    def __str__(self) -> str:
        """Say it in one line, as compilers do."""
        place = self.file if self.line is None else f"{self.file}, line {self.line}"
        return f"{place}: {self.text}"


def check_source(
    environment: Environment,
    name: str,
    source: str,
    *,
    owner: str,
    variables: Collection[str] | None,
) -> tuple[list[TemplateProblem], list[str]]:
    """Check one template.

    Args:
        environment: what it would be compiled in.
        name: its name, which is that of its file without the suffix.
        source: its text.
        owner: what it is a part of, for the error.
        variables: those that it is rendered with; ``None``: not known, as a partial also has the
            loop variables of the template that includes it.

    Returns:
        What is wrong, and the names of the templates that it includes, imports or extends.
    """
    file = name + SUFFIX
    if not source.strip():
        return [TemplateProblem(file=file, line=None, text="it is empty")], []
    try:
        tree = environment.parse(source)
        unsafe = list(_unsafe_parts(file, tree)) if name.endswith(".html") else []
        if unsafe:
            return unsafe, []
        undeclared = meta.find_undeclared_variables(tree) - environment.globals.keys()
    except TemplateSyntaxError as error:
        return [TemplateProblem(file=file, line=error.lineno, text=str(error.message))], []
    known = undeclared if variables is None else set(variables)
    problems = [
        TemplateProblem(
            file=file,
            line=_line_of(tree, variable),
            text=f"unknown variable {variable!r}; {owner} has {', '.join(sorted(known))}",
        )
        for variable in sorted(undeclared - known)
    ]
    references, bad_references = _references(file, tree)
    return problems + bad_references, references


def problem_of(error: Exception, files: Collection[str], kind: str) -> TemplateProblem:
    """Return the problem that an error of rendering is.

    Args:
        error: what was raised.
        files: the paths of templates.
        kind: the e-mail that was rendered.
    """
    text = f"{type(error).__name__} with example values: {error}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename in files:
            return TemplateProblem(
                file=frame.filename.rpartition("/")[2], line=frame.lineno, text=text
            )
    return TemplateProblem(file=kind, line=None, text=text)


def _unsafe_parts(file: str, tree: nodes.Template) -> Iterator[TemplateProblem]:
    """Find what would put values into HTML as they are."""
    wish = "values are always escaped in HTML; take it out"
    for node in tree.find_all(nodes.Filter):
        if node.name == "safe":
            yield TemplateProblem(file=file, line=node.lineno, text=f"the filter 'safe': {wish}")
    for block in tree.find_all(nodes.EvalContextModifier):
        yield TemplateProblem(file=file, line=block.lineno, text=f"'autoescape': {wish}")


def _line_of(tree: nodes.Template, variable: str) -> int | None:
    uses = [name.lineno for name in tree.find_all(nodes.Name) if name.name == variable]
    return min(uses, default=None)


def _references(file: str, tree: nodes.Template) -> tuple[list[str], list[TemplateProblem]]:
    """Return the templates that one refers to; text in HTML would not be escaped."""
    part = file.removesuffix(SUFFIX).rpartition(".")[2]
    good, bad = [], []
    for reference in meta.find_referenced_templates(tree):
        if reference is None:
            text = "the name of an included template is computed; expected a name in quotes"
        elif not _is_partial(reference, part):
            wish = (
                "no template" if part == "subject" else f"the name of a partial, as '_part.{part}'"
            )
            text = f"it includes {reference!r}; expected {wish}"
        else:
            good.append(reference)
            continue
        bad.append(TemplateProblem(file=file, line=None, text=text))
    return good, bad


def _is_partial(name: str, part: str) -> bool:
    is_shared = name.startswith("_") or name == "footer.txt"
    return is_shared and part != "subject" and name.endswith(f".{part}")
