from __future__ import annotations

import pytest
from jinja2 import UndefinedError

from oxcart.mail import templates

CONTEXT = {
    "subject": "Subject",
    "name": "Ada",
    "app_name": "Club",
    "app_url": "https://x.example",
    "action_url": "https://x.example/go",
    "reset_code": "483920",
    "title": "Title",
    "paragraphs": [["Text"]],
}


@pytest.mark.parametrize("name", templates.NAMES)
def test_css_is_inlined_and_dark_mode_kept(name: str) -> None:
    html = templates.render(name, "html", CONTEXT)

    assert '<h1 style="' in html
    assert "prefers-color-scheme: dark" in html
    assert ".brand {" not in html.split("@media")[0]
    assert html.count("<style>") == 1


@pytest.mark.parametrize("name", templates.NAMES)
def test_html_is_accessible(name: str) -> None:
    """A language, a title, one heading, and tables that screen readers do not read as tables."""
    html = templates.render(name, "html", CONTEXT)

    assert '<html lang="en" dir="ltr"' in html
    assert "<title>Subject</title>" in html
    assert html.count("<h1") == 1
    assert html.count("<table") == html.count('role="presentation"')


@pytest.mark.parametrize("name", templates.NAMES)
@pytest.mark.parametrize("part", ["html", "txt"])
def test_missing_variable_is_an_error(name: str, part: str) -> None:
    context = {key: value for key, value in CONTEXT.items() if key != "app_name"}

    with pytest.raises(UndefinedError, match="app_name"):
        templates.render(name, part, context)


@pytest.mark.parametrize("name", templates.NAMES)
@pytest.mark.parametrize("part", ["html", "txt"])
def test_nothing_of_the_template_language_is_left(name: str, part: str) -> None:
    rendered = templates.render(name, part, CONTEXT)

    assert "{{" not in rendered
    assert "{%" not in rendered
