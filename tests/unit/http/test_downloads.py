"""What a download calls itself."""

from __future__ import annotations

from email.message import Message

import pytest

from oxcart.http.downloads import attachment


@pytest.mark.parametrize(
    "filename",
    [
        "user-data-2026-03-04.zip",
        "Zoë's wiki 🎓.csv",
        'a"b\\c.csv',
        "../../etc/passwd",
        "line\r\nx-evil: 1.csv",
        "percent%20.csv",
        "",
    ],
)
def test_any_file_name_is_one_safe_header(filename: str) -> None:
    value = attachment(filename)

    assert value.isascii()
    assert value.isprintable()
    header = Message()
    header["content-disposition"] = value
    assert header.get_content_disposition() == "attachment"


def test_exact_name_is_given_beside_the_plain_one() -> None:
    value = attachment("Zoë.csv")

    assert value == "attachment; filename=\"Zo_.csv\"; filename*=UTF-8''Zo%C3%AB.csv"
