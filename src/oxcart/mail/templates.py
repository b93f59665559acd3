"""Templates of e-mails: the built-in ones, and those of a folder in their place.

An e-mail has three templates: ``<name>.subject.j2``, ``<name>.html.j2`` and ``<name>.txt.j2``. The
HTML is the body, which is put into ``layout.html.j2`` at its body mark. All are read, checked and
compiled once; after that rendering reads no file. Values are escaped in HTML, and templates run in
Jinja's sandbox.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import css_inline
from jinja2 import FunctionLoader, StrictUndefined, TemplateNotFound, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment

from oxcart.errors import ConfigError
from oxcart.mail.checks import one_line
from oxcart.mail.email_kinds import COMMON_VARIABLES, KINDS, EmailKind
from oxcart.mail.template_check import SUFFIX, TemplateProblem, check_source, problem_of

PARTS = ("subject", "html", "txt")
BODY_MARK = "<!-- body -->"
_LAYOUT, _FOOTER, _BODY = "layout.html", "footer.txt", ".body.html"
_WHOLE_PAGE = ("<!doctype", "<html", "{% extends", "{%- extends")
_EXAMPLE_APP = {"app_name": "Example", "app_url": "https://example.org"}


class TemplatesRefused(ConfigError):
    """Templates of a folder cannot be used.

    Attributes:
        problems: everything that is wrong with them.
    """

    def __init__(self, folder: Path, problems: Iterable[TemplateProblem | str]) -> None:
        self.problems = tuple(dict.fromkeys(map(str, problems)))
        lines = "".join(f"\n  {problem}" for problem in self.problems)
        super().__init__(f"the e-mail templates in {str(folder)!r} cannot be used:{lines}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedEmail:
    """The parts of an e-mail, rendered."""

    subject: str
    html: str
    text: str


class EmailTemplates:
    """The templates of some kinds of e-mails, checked and compiled.

    Args:
        kinds: the e-mails.
        folder: templates that replace built-in ones; ``None``: none does. A kind without built-in
            templates needs all three here.

    Raises:
        TemplatesRefused: a folder's templates cannot be used; the error names every file and line.
    """

    def __init__(self, kinds: Iterable[EmailKind] = KINDS, folder: Path | None = None) -> None:
        self._kinds = {kind.name: kind for kind in kinds}
        self._own = {} if folder is None else _read_folder(folder, self._kinds)
        self._paths = {name: str((folder or Path()) / f"{name}{SUFFIX}") for name in self._own}
        self._environment = _environment(self._load)
        if folder is not None:
            problems = list(self._problems())
            if problems:
                raise TemplatesRefused(folder, problems)

    def render(self, name: str, context: Mapping[str, object]) -> RenderedEmail:
        """Render an e-mail.

        Args:
            name: its kind.
            context: its variables, without the subject; a missing one is an error.
        """
        get = self._environment.get_template
        subject = one_line(get(f"{name}.subject").render(context))
        values = {**context, "subject": subject}
        html = get(f"{name}.html").render(values)
        if self._is_own_page(name) and "<style" in html:
            html = _inliner().inline(html)
        return RenderedEmail(subject=subject, html=html, text=get(f"{name}.txt").render(values))

    def _load(self, name: str) -> tuple[str, str | None, None]:
        """Return a template's source and path; called by Jinja."""
        kind, _, part = name.rpartition(".")
        if part == "html" and kind in self._kinds:
            return self._page(kind), self._paths.get(_LAYOUT), None
        name = name.replace(_BODY, ".html")
        return self._source(name), self._paths.get(name), None

    def _page(self, kind: str) -> str:
        """Return the source of a whole page."""
        body = self._source(f"{kind}.html")
        if not self._is_own_page(kind):
            # The style sheet is inlined in the source, once: ``{{ … }}`` passes through it.
            return _inliner().inline(self._source(_LAYOUT).replace(BODY_MARK, body))
        include = f'{{% include "{kind}{_BODY}" %}}'
        if body.lstrip().lower().startswith(_WHOLE_PAGE):
            return include
        return self._source(_LAYOUT).replace(BODY_MARK, include)

    def _is_own_page(self, kind: str) -> bool:
        return f"{kind}.html" in self._own or _LAYOUT in self._own

    def _source(self, name: str) -> str:
        source = self._own.get(name)
        if source is None:
            source = _built_in_source(name)
        if source is None:
            raise TemplateNotFound(name)
        return source

    def _problems(self) -> Iterator[TemplateProblem]:
        found = False
        for kind in self._kinds.values():
            for problem in self._problems_of(kind):
                found = True
                yield problem
        if not found:
            for kind in self._kinds.values():
                yield from self._problems_with_examples(kind)

    def _problems_of(self, kind: EmailKind) -> Iterator[TemplateProblem]:
        """Check the sources of one e-mail, and all that they refer to."""
        waiting = [f"{kind.name}.{part}" for part in PARTS] + [_LAYOUT]
        seen = set(waiting)
        while waiting:
            name = waiting.pop()
            if name not in self._own:
                continue
            source = self._own[name]
            owner, variables = f"the e-mail {kind.name!r}", kind.variables | COMMON_VARIABLES
            if name == _LAYOUT:
                owner, variables = "the layout", self._shared_variables()
            if not name.endswith(".subject"):
                variables |= {"subject"}
            if name == _LAYOUT and BODY_MARK not in source:
                yield TemplateProblem(
                    file=_LAYOUT + SUFFIX, line=None, text=f"the mark {BODY_MARK} is missing"
                )
            problems, references = check_source(
                self._environment,
                name,
                source,
                owner=owner,
                variables=None if name.startswith("_") else variables,
            )
            yield from problems
            for reference in references:
                if reference not in self._own and reference != _FOOTER:
                    text = f"it includes {reference!r}, and there is no file {reference}{SUFFIX}"
                    yield TemplateProblem(file=name + SUFFIX, line=None, text=text)
                elif reference not in seen:
                    seen.add(reference)
                    waiting.append(reference)

    def _shared_variables(self) -> frozenset[str]:
        """The variables that every e-mail has."""
        return COMMON_VARIABLES | frozenset.intersection(
            *(kind.variables for kind in self._kinds.values())
        )

    def _problems_with_examples(self, kind: EmailKind) -> Iterator[TemplateProblem]:
        """Render an e-mail with its example values."""
        for example in kind.examples:
            try:
                rendered = self.render(kind.name, {**_EXAMPLE_APP, **example})
            except Exception as error:  # noqa: BLE001  # a template can raise anything
                yield problem_of(error, self._paths.values(), kind.name)
                return
            for part, text in zip(
                PARTS, (rendered.subject, rendered.html, rendered.text), strict=True
            ):
                if not text.strip():
                    file = f"{kind.name}.{part}{SUFFIX}"
                    yield TemplateProblem(file=file, line=None, text="it is empty when rendered")


@functools.cache
def built_in_templates() -> EmailTemplates:
    """Return the templates that need no folder."""
    return EmailTemplates()


def load_templates(folder: Path | None) -> EmailTemplates:
    """Return the templates of the four e-mails, with those of a folder in their place.

    Raises:
        TemplatesRefused: the folder's templates cannot be used.
    """
    return built_in_templates() if folder is None else EmailTemplates(folder=folder)


def _read_folder(folder: Path, kinds: Mapping[str, EmailKind]) -> dict[str, str]:
    """Read the templates of a folder by their names.

    Raises:
        TemplatesRefused: a file is missing, unreadable, or one that nothing would use.
    """
    known = {f"{kind}.{part}" for kind in kinds for part in PARTS} | {_LAYOUT, _FOOTER}
    sources: dict[str, str] = {}
    problems: list[TemplateProblem] = []
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise TemplatesRefused(folder, [f"the folder cannot be read: {error.strerror}"]) from error
    for path in paths:
        name = path.name.removesuffix(SUFFIX)
        if not path.name.endswith(SUFFIX):
            if name in known:
                text = f"its name lacks the suffix {SUFFIX}; rename it or move it away"
                problems.append(TemplateProblem(file=path.name, line=None, text=text))
            continue
        if name not in known and not (name.startswith("_") and name.endswith((".html", ".txt"))):
            text = (
                f"it is not used by any e-mail; expected {_names(known)}, or a partial as "
                f"_part.html{SUFFIX}"
            )
            problems.append(TemplateProblem(file=path.name, line=None, text=text))
            continue
        try:
            sources[name] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            problems.append(TemplateProblem(file=path.name, line=None, text=str(error)))
    problems.extend(_missing(sources, kinds))
    if problems:
        raise TemplatesRefused(folder, problems)
    return sources


def _missing(
    sources: Mapping[str, str], kinds: Mapping[str, EmailKind]
) -> Iterator[TemplateProblem]:
    """HTML and text say the same, so one of them alone is a mistake."""
    for kind in kinds:
        is_built_in = _built_in_source(f"{kind}.html") is not None
        needed = ("html", "txt") if is_built_in else PARTS
        present = [part for part in PARTS if f"{kind}.{part}" in sources]
        if is_built_in and not set(present) & {"html", "txt"}:
            continue
        for part in needed:
            if part not in present:
                beside = f" beside {kind}.{present[0]}{SUFFIX}" if present else ""
                yield TemplateProblem(
                    file=f"{kind}.{part}{SUFFIX}", line=None, text=f"it is missing{beside}"
                )


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"{name}{SUFFIX}" for name in sorted(names))


def _environment(load: object) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=FunctionLoader(load),  # type: ignore[arg-type]  # a bound method of ours
        autoescape=select_autoescape(enabled_extensions=("html",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )
    del environment.filters["safe"]
    return environment


@functools.cache
def _inliner() -> css_inline.CSSInliner:
    # At-rules (dark mode, narrow screens) cannot be inlined and stay in a <style> element.
    return css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)


@functools.cache
def _built_in_source(name: str) -> str | None:
    file = resources.files(__package__) / "templates" / f"{name}{SUFFIX}"
    return file.read_text(encoding="utf-8") if file.is_file() else None
