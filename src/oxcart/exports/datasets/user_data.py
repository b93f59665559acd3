"""USER_DATA: everything held on the asking user, as the GDPR's article 20 asks for.

Left out on purpose, in every table: ``password``, ``verificationToken``, ``verificationExpires``,
``failedLoginAttempts`` and ``lockedUntil``. They are how the site guards the account, and a file
that is downloaded, sent on and lost must not open it.
"""

from __future__ import annotations

from oxcart.database.tables import (
    bookmark,
    notification,
    referral,
    uni_page,
    university,
    user,
    wiki_revision,
)
from oxcart.database.types import ExportType
from oxcart.exports.datasets.declared import Column, Dataset, Part
from oxcart.exports.writers.zip_archive import ZipArchive

_LONG_TEXT_BATCH = 100

_USER = Part(
    name="user",
    source=user.outerjoin(university, user.c.universityId == university.c.id),
    key=user.c.id,
    owner=user.c.id,
    columns=(
        Column("id", user.c.id),
        Column("email", user.c.email),
        Column("name", user.c.name),
        Column("bio", user.c.bio),
        Column("role", user.c.role),
        Column("referralCode", user.c.referralCode),
        Column("socialStats", user.c.socialStats),
        Column("powerScore", user.c.powerScore),
        Column("emailVerified", user.c.emailVerified),
        Column("isPublicProfile", user.c.isPublicProfile),
        Column("publicPersonId", user.c.publicPersonId),
        Column("universityId", user.c.universityId),
        Column("university", university.c.name),
        Column("secondaryUniversityId", user.c.secondaryUniversityId),
        Column("createdAt", user.c.createdAt),
        Column("updatedAt", user.c.updatedAt),
    ),
)

_REVISIONS = Part(
    name="revisions",
    source=wiki_revision.outerjoin(uni_page, wiki_revision.c.uniPageId == uni_page.c.id),
    key=wiki_revision.c.id,
    owner=wiki_revision.c.authorId,
    columns=(
        Column("id", wiki_revision.c.id),
        Column("uniPageId", wiki_revision.c.uniPageId),
        Column("page", uni_page.c.name),
        Column("status", wiki_revision.c.status),
        Column("spamScore", wiki_revision.c.spamScore),
        Column("content", wiki_revision.c.content),
        Column("createdAt", wiki_revision.c.createdAt),
        Column("updatedAt", wiki_revision.c.updatedAt),
    ),
    batch_rows=_LONG_TEXT_BATCH,
)

_REFERRALS = Part(
    name="referrals",
    source=referral,
    key=referral.c.id,
    owner=referral.c.referrerId,
    # Whom the user invited is another person: the id alone, no name and no address.
    columns=(
        Column("id", referral.c.id),
        Column("refereeId", referral.c.refereeId),
        Column("createdAt", referral.c.createdAt),
    ),
)

_NOTIFICATIONS = Part(
    name="notifications",
    source=notification,
    key=notification.c.id,
    owner=notification.c.userId,
    columns=(
        Column("id", notification.c.id),
        Column("type", notification.c.type),
        Column("title", notification.c.title),
        Column("message", notification.c.message),
        Column("link", notification.c.link),
        Column("read", notification.c.read),
        Column("createdAt", notification.c.createdAt),
    ),
)

_BOOKMARKS = Part(
    name="bookmarks",
    source=bookmark.outerjoin(uni_page, bookmark.c.pageId == uni_page.c.id),
    key=bookmark.c.id,
    owner=bookmark.c.userId,
    columns=(
        Column("id", bookmark.c.id),
        Column("pageId", bookmark.c.pageId),
        Column("page", uni_page.c.name),
        Column("note", bookmark.c.note),
        Column("createdAt", bookmark.c.createdAt),
    ),
)

USER_DATA = Dataset(
    type=ExportType.USER_DATA,
    writer=ZipArchive(),
    parts=(_USER, _REVISIONS, _REFERRALS, _NOTIFICATIONS, _BOOKMARKS),
)
