"""Loads the mail templates: one environment, CSS inlined once, nothing read again after that.

A mail's HTML is ``layout.html.j2`` with the file ``<name>.html.j2`` put at its body mark. They
are joined as text, before Jinja sees them, because css-inline has to see a whole page: it runs on
the template's source (``{{ … }}`` passes through it), so that rendering a mail costs no CSS work.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources

import css_inline
from jinja2 import DictLoader, Environment, StrictUndefined, select_autoescape

NAMES = ("welcome", "verification", "password_reset", "notification")
_BODY_MARK = "<!-- body -->"


def render(name: str, part: str, context: Mapping[str, object]) -> str:
    """Render one part of a mail.

    Args:
        name: one of ``NAMES``.
        part: ``"html"`` (values are escaped) or ``"txt"``.
        context: the template's variables; a missing one is an error.
    """
    return _environment().get_template(f"{name}.{part}").render(context)


@functools.cache
def _environment() -> Environment:
    sources = {f"{name}.html": _html_source(name) for name in NAMES}
    sources |= {f"{name}.txt": _read(f"{name}.txt.j2") for name in (*NAMES, "footer")}
    return Environment(
        loader=DictLoader(sources),
        autoescape=select_autoescape(enabled_extensions=("html",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )


def _html_source(name: str) -> str:
    layout = _read("layout.html.j2")
    page = layout.replace(_BODY_MARK, _read(f"{name}.html.j2"))
    # At-rules (dark mode, narrow screens) cannot be inlined and stay in a <style> element.
    inliner = css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)
    return inliner.inline(page)


def _read(file_name: str) -> str:
    return (resources.files(__package__) / "templates" / file_name).read_text(encoding="utf-8")
