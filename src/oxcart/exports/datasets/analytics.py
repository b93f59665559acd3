"""ANALYTICS: how much the asking user has done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from oxcart.database.tables import notification, referral, user, wiki_revision
from oxcart.database.types import ExportType
from oxcart.exports.datasets.declared import Column, Dataset, Part
from oxcart.exports.writers.json_summary import JsonSummary

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement


def _count_of(owner: ColumnElement[Any]) -> ColumnElement[int]:
    query = select(func.count()).where(owner == user.c.id)
    return query.correlate(user).scalar_subquery()


ANALYTICS = Dataset(
    type=ExportType.ANALYTICS,
    writer=JsonSummary(),
    parts=(
        Part(
            name="analytics",
            source=user,
            key=user.c.id,
            owner=user.c.id,
            columns=(
                Column("revisions", _count_of(wiki_revision.c.authorId)),
                Column("referrals", _count_of(referral.c.referrerId)),
                Column("notifications", _count_of(notification.c.userId)),
            ),
        ),
    ),
)
