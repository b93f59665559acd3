from __future__ import annotations

import pytest

from oxcart._wire.named_backoff import LONGEST_MS, NamedBackoff, read_named_backoff


@pytest.mark.parametrize(
    ("opts", "expected"),
    [
        ('{"backoff": {"type": "custom"}}', NamedBackoff("custom")),
        ('{"attempts": 3, "backoff": {"type": "mine", "delay": 250}}', NamedBackoff("mine", 250)),
        ('{"backoff": {"type": "custom", "delay": 1.5}}', NamedBackoff("custom", 1)),
        ('{"backoff": {"type": "custom", "delay": 1e300}}', NamedBackoff("custom", LONGEST_MS)),
        ('{"backoff": {"type": "custom", "delay": -5}}', NamedBackoff("custom")),
        ('{"backoff": {"type": "custom", "delay": "5"}}', NamedBackoff("custom")),
        ('{"backoff": {"type": "custom", "delay": true}}', NamedBackoff("custom")),
        ('{"backoff": {"type": null}}', None),
        ('{"backoff": {"delay": 5}}', None),
        ('{"backoff": 1000}', None),
        ('{"backoff": null}', None),
        ("{}", None),
        ("[]", None),
        ("{broken", None),
        ("", None),
    ],
)
def test_type_of_a_backoff_is_read_if_there_is_one(
    opts: str, expected: NamedBackoff | None
) -> None:
    assert expected == read_named_backoff({b"opts": opts.encode()})


def test_job_without_options_names_no_backoff() -> None:
    assert read_named_backoff({}) is None
    assert read_named_backoff({b"opts": b'{"backoff": {"type": "\xff"}}'}) is None
