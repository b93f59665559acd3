"""What can be exported: one declared value an export."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from oxcart.exports.datasets.analytics import ANALYTICS
from oxcart.exports.datasets.members import MEMBERS
from oxcart.exports.datasets.user_data import USER_DATA
from oxcart.exports.datasets.wiki_pages import WIKI_PAGES
from oxcart.exports.errors import UnknownExportType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oxcart.exports.datasets.declared import Dataset

DATASETS: Mapping[str, Dataset] = MappingProxyType(
    {dataset.type.value: dataset for dataset in (USER_DATA, WIKI_PAGES, MEMBERS, ANALYTICS)}
)
"""Every export by its type's name."""

__all__ = ["ANALYTICS", "DATASETS", "MEMBERS", "USER_DATA", "WIKI_PAGES", "dataset_of"]


def dataset_of(type_: str) -> Dataset:
    """Return the export of that type.

    Raises:
        UnknownExportType: there is none; the text lists those that there are.
    """
    dataset = DATASETS.get(type_)
    if dataset is None:
        raise UnknownExportType(type_, DATASETS)
    return dataset
