from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import UndefinedError
from jinja2.exceptions import SecurityError

from oxcart.mail.email_kinds import KINDS, EmailKind
from oxcart.mail.templates import EmailTemplates, TemplatesRefused, built_in_templates

NAMES = [kind.name for kind in KINDS]
CONTEXT = {
    "name": "Ada",
    "app_name": "Club",
    "app_url": "https://x.example",
    "action_url": "https://x.example/go",
    "reset_code": "483920",
    "title": "Title",
    "message": "Text",
    "paragraphs": [["Text"]],
}
NASTY = "<script>alert(1)</script>"


def write(folder: Path, **files: str) -> Path:
    """Write templates; ``welcome_html`` stands for ``welcome.html.j2``."""
    for name, text in files.items():
        kind, _, part = name.rpartition("_")
        (folder / f"{kind}.{part}.j2").write_text(text, encoding="utf-8")
    return folder


def problems(folder: Path) -> list[str]:
    with pytest.raises(TemplatesRefused) as caught:
        EmailTemplates(folder=folder)
    assert str(folder) in str(caught.value)
    return list(caught.value.problems)


@pytest.mark.parametrize("name", NAMES)
def test_css_is_inlined_and_dark_mode_kept(name: str) -> None:
    html = built_in_templates().render(name, CONTEXT).html

    assert '<h1 style="' in html
    assert "prefers-color-scheme: dark" in html
    assert ".brand {" not in html.split("@media")[0]
    assert html.count("<style>") == 1


@pytest.mark.parametrize("name", NAMES)
def test_html_is_accessible(name: str) -> None:
    """A language, a title, one heading, and tables that screen readers do not read as tables."""
    rendered = built_in_templates().render(name, CONTEXT)

    assert '<html lang="en" dir="ltr"' in rendered.html
    assert f"<title>{rendered.subject}</title>" in rendered.html
    assert rendered.html.count("<h1") == 1
    assert rendered.html.count("<table") == rendered.html.count('role="presentation"')


@pytest.mark.parametrize("name", NAMES)
def test_missing_variable_is_an_error(name: str) -> None:
    context = {key: value for key, value in CONTEXT.items() if key != "app_name"}

    with pytest.raises(UndefinedError, match="app_name"):
        built_in_templates().render(name, context)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_the_template_language_is_left(name: str) -> None:
    rendered = built_in_templates().render(name, CONTEXT)

    for text in (rendered.subject, rendered.html, rendered.text):
        assert "{{" not in text
        assert "{%" not in text


def test_a_folder_s_templates_replace_those_of_one_mail(tmp_path: Path) -> None:
    write(
        tmp_path,
        welcome_subject="Ahoy {{ name }},\n  this is {{ app_name }}\n",
        welcome_html="<h1>{{ subject }}</h1><p>{{ name }} at {{ app_url }}</p>",
        welcome_txt="Ahoy {{ name }}\n{% include 'footer.txt' %}",
    )
    (tmp_path / "README.md").write_text("ignored")

    templates = EmailTemplates(folder=tmp_path)

    rendered = templates.render("welcome", CONTEXT | {"name": NASTY})
    assert rendered.subject == f"Ahoy {NASTY},   this is Club"
    assert NASTY not in rendered.html
    assert "&lt;script&gt;" in rendered.html
    assert '<h1 style="' in rendered.html  # in the built-in layout, with its style sheet
    assert rendered.text.startswith(f"Ahoy {NASTY}\n-- \nSent by Club")
    assert templates.render("verification", CONTEXT) == built_in_templates().render(
        "verification", CONTEXT
    )


def test_a_folder_s_layout_and_partials_are_used_by_all_mails(tmp_path: Path) -> None:
    """Rows of a table keep their places: style sheets are inlined after rendering."""
    write(
        tmp_path,
        layout_html="<style>p { color: red }</style><body>{{ app_name }}<!-- body --></body>",
        footer_txt="Bye",
        notification_html="<table>{% for lines in paragraphs %}{% include '_row.html' %}"
        "{% endfor %}</table><p>x</p>",
        notification_txt="{{ message }}\n{% include 'footer.txt' %}",
        _row_html="<tr><td>{{ lines[0] }}</td></tr>",
    )

    templates = EmailTemplates(folder=tmp_path)

    rendered = templates.render("notification", CONTEXT | {"paragraphs": [[NASTY], ["b"]]})
    assert "<tr><td>&lt;script&gt;alert(1)&lt;/script&gt;</td></tr><tr><td>b</td></tr>" in (
        rendered.html
    )
    assert '<p style="color: red;">x</p>' in rendered.html
    assert rendered.text == "Text\nBye"
    assert "Club<h1>Welcome" in templates.render("welcome", CONTEXT).html
    assert templates.render("welcome", CONTEXT).text.endswith("Bye")


def test_whole_page_needs_no_layout(tmp_path: Path) -> None:
    page = "<!doctype html><html><head><title>{{ subject }}</title></head><body>x</body></html>"
    write(tmp_path, welcome_html=page, welcome_txt="x")

    html = EmailTemplates(folder=tmp_path).render("welcome", CONTEXT).html

    assert html == page.replace("{{ subject }}", "Welcome to Club")


def test_every_mistake_is_named_with_its_file_and_line(tmp_path: Path) -> None:
    write(
        tmp_path,
        welcome_subject="{{ nmae }}",
        welcome_html="<p>\n{{ name }}\n{% if %}</p>",
        welcome_txt="{{ name }}\n\n{{ reset_code }} {{ other }}",
        verification_html="{{ name|safe }}",
        verification_txt="{{ name|shout }}{% include '_missing.txt' %}",
        notification_html="{% include '_part.txt' %}{% autoescape false %}{% endautoescape %}",
        notification_txt="{% include name %}{% include 'welcome.txt' %}",
        password_reset_html="{% include '_row.html' %}",
        password_reset_txt="{% include 'footer.txt' %}",
        layout_html="<body></body>{{ reset_code }}",
        _part_txt="x",
        _row_html="x\n{{ lines } }",
    )

    found = problems(tmp_path)

    for start in (
        "welcome.subject.j2, line 1: unknown variable 'nmae'; the e-mail 'welcome' has app_name, ",
        "welcome.html.j2, line 3: Expected an expression",
        "welcome.txt.j2, line 3: unknown variable 'other'; the e-mail 'welcome' has app_name, ",
        "welcome.txt.j2, line 3: unknown variable 'reset_code'",
        "verification.html.j2, line 1: the filter 'safe': values are always escaped",
        "verification.txt.j2, line 1: No filter named 'shout'",
        "notification.html.j2, line 1: 'autoescape': values are always escaped",
        "notification.txt.j2: the name of an included template is computed",
        "notification.txt.j2: it includes 'welcome.txt'; expected the name of a partial",
        "layout.html.j2: the mark <!-- body --> is missing",
        "layout.html.j2, line 1: unknown variable 'reset_code'; the layout has",
        "_row.html.j2, line 2: unexpected '}'",
    ):
        assert [each for each in found if each.startswith(start)], start
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("files", "start"),
    [
        ({"welcome_html": "x"}, "welcome.txt.j2: it is missing beside welcome.html.j2"),
        ({"welcome_txt": "x"}, "welcome.html.j2: it is missing beside welcome.txt.j2"),
        ({"welcom_html": "x"}, "welcom.html.j2: it is not used by any e-mail; expected footer.txt"),
        ({"welcome_html": " ", "welcome_txt": "x"}, "welcome.html.j2: it is empty"),
        ({"welcome_subject": "{# #}\n"}, "welcome.subject.j2: it is empty when rendered"),
        (
            {"welcome_html": "x", "welcome_txt": "a\n{{ name.first }}"},
            "welcome.txt.j2, line 2: UndefinedError with example values: 'str object' has no",
        ),
        (
            {"welcome_html": "a\n\n{{ 1 + name }}", "welcome_txt": "a"},
            "welcome.html.j2, line 3: TypeError with example values:",
        ),
        (
            {"welcome_html": "{{ ''.__class__.__mro__ }}", "welcome_txt": "a"},
            "welcome.html.j2, line 1: SecurityError with example values:",
        ),
        (
            {"welcome_html": "{{ [name]|map('safe')|join }}", "welcome_txt": "a"},
            "welcome.html.j2, line 1: TemplateRuntimeError with example values: No filter named",
        ),
        (
            {"welcome_html": "x{% include '_no.html' %}", "welcome_txt": "a"},
            "welcome.html.j2: it includes '_no.html', and there is no file _no.html.j2",
        ),
    ],
)
def test_folder_that_cannot_be_used_is_refused_with_the_reason(
    tmp_path: Path, files: dict[str, str], start: str
) -> None:
    write(tmp_path, **files)
    assert [each for each in problems(tmp_path) if each.startswith(start)]


def test_missing_folder_and_forgotten_suffix_are_named(tmp_path: Path) -> None:
    assert problems(tmp_path / "nowhere") == [
        "the folder cannot be read: No such file or directory"
    ]
    (tmp_path / "welcome.html").write_text("x")
    assert problems(tmp_path) == [
        "welcome.html: its name lacks the suffix .j2; rename it or move it away"
    ]
    (tmp_path / "welcome.html").unlink()
    (tmp_path / "_x.html.j2").write_bytes(b"\xff")
    assert "_x.html.j2: 'utf-8' codec can't decode" in problems(tmp_path)[0]


def test_templates_run_in_a_sandbox(tmp_path: Path) -> None:
    """Also where an example value did not show it."""
    hidden = "{% if name == 'x' %}{{ name.__class__.__base__ }}{% endif %}a"
    write(tmp_path, welcome_html=hidden, welcome_txt=hidden)
    templates = EmailTemplates(folder=tmp_path)

    with pytest.raises(SecurityError):
        templates.render("welcome", CONTEXT | {"name": "x"})


def test_kinds_of_an_application_are_loaded_in_the_same_way(tmp_path: Path) -> None:
    """An application's e-mail has no built-in templates, so its folder needs all three."""
    invoice = EmailKind(name="invoice", examples=({"amount": 3},))
    write(tmp_path, invoice_html="{{ amount }}", invoice_txt="{{ amount }}")

    with pytest.raises(TemplatesRefused, match=r"invoice\.subject\.j2: it is missing"):
        EmailTemplates([invoice], tmp_path)
    write(tmp_path, invoice_subject="Invoice over {{ amount }}")
    templates = EmailTemplates([invoice], tmp_path)

    rendered = templates.render(
        "invoice", {"amount": 5, "app_name": "Shop", "app_url": "https://shop.example"}
    )
    assert (rendered.subject, rendered.text) == ("Invoice over 5", "5")
    assert "Shop" in rendered.html
