"""The rows of the sample club. Everything follows from one random generator."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from oxcart.database import sample_words as words
from oxcart.database import tables
from oxcart.database.ids import sample_id
from oxcart.database.types import RevisionStatus, Role
from oxcart.database.users import DEFAULT_USER_EMAIL, DEFAULT_USER_ID

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from sqlalchemy import Table

Rows = list[dict[str, Any]]

NOW = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)
"""When the club's story ends; fixed, so that the same seed gives the same rows on every day."""

FIXED_USERS = (
    (DEFAULT_USER_ID, "Ada Admin", DEFAULT_USER_EMAIL, Role.ADMIN),
    ("user_staff", "Stefan Staff", "staff@cofactor.example", Role.STAFF),
    ("user_student", 'Sofía "Sof" Student, BSc', "student@cofactor.example", Role.STUDENT),
    ("user_pending", "=Penny Pending", "pending@cofactor.example", Role.PENDING_STAFF),
)
"""Id, name, email and role of the users that demonstrations rely on."""

_BUSY_USERS = ("user_student", DEFAULT_USER_ID)
_STATUSES = tuple(RevisionStatus)
_STATUS_WEIGHTS = (15, 70, 8, 4, 3)
_ROLES = (Role.STUDENT, Role.STAFF, Role.PENDING_STAFF, Role.ADMIN)
_ROLE_WEIGHTS = (960, 25, 12, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClubSize:
    """How many rows there are of each kind."""

    universities: int = 40
    institutes_each: int = 3
    users: int = 5_000
    pages: int = 3_000
    revisions: int = 30_000
    referrals: int = 2_500
    notifications: int = 20_000
    bookmarks: int = 8_000


class Club:
    """The rows of every table.

    Args:
        random: where all choices come from.
        size: how many rows.
    """

    def __init__(self, random: Random, size: ClubSize) -> None:
        self._random = random
        self._size = size

    def tables(self) -> Iterator[tuple[Table, Rows]]:
        """Give each table with its rows, those that others refer to first."""
        yield tables.university, self.universities
        yield tables.institute, self.institutes
        yield tables.user, self.users
        yield tables.uni_page, self.pages
        yield tables.wiki_revision, self._revisions()
        yield tables.referral, self._referrals()
        yield tables.notification, self._notifications()
        yield tables.bookmark, self._bookmarks()

    @cached_property
    def universities(self) -> Rows:
        """One a place; past the last place they are numbered."""
        return [self._university(number) for number in range(self._size.universities)]

    @cached_property
    def institutes(self) -> Rows:
        """Some fields at each university."""
        return [
            {
                "id": self._id(),
                "name": f"Department of {field}",
                "slug": f"{slug(university['name'])}-{slug(field)}",
                "approved": self._chance(0.9),
                "universityId": university["id"],
            }
            for university in self.universities
            for field in self._random.sample(words.FIELDS, self._size.institutes_each)
        ]

    @cached_property
    def users(self) -> Rows:
        """The fixed users, then all others."""
        fixed = [
            self._user(number) | {"id": user_id, "name": name, "email": email, "role": role}
            for number, (user_id, name, email, role) in enumerate(FIXED_USERS)
        ]
        return fixed + [self._user(number) for number in range(len(fixed), self._size.users)]

    @cached_property
    def pages(self) -> Rows:
        """Wiki pages, five of six published."""
        return [self._page(number) for number in range(self._size.pages)]

    def _university(self, number: int) -> dict[str, Any]:
        round_, index = divmod(number, len(words.PLACES))
        place = words.PLACES[index] + (f" {round_ + 1}" if round_ else "")
        name = words.UNIVERSITY_FORMS[index % len(words.UNIVERSITY_FORMS)].format(place=place)
        domain = f"{slug(place)}.example"
        return {
            "id": self._id(),
            "name": name,
            "domains": [domain, f"students.{domain}"],
            "logo": f"https://cdn.cofactor.example/{slug(place)}.svg"
            if self._chance(0.7)
            else None,
            "approved": self._chance(0.95),
            **self._times(),
        }

    def _user(self, number: int) -> dict[str, Any]:
        name = f"{self._choice(words.FIRST_NAMES)} {self._choice(words.LAST_NAMES)}"
        university = self._choice(self.universities)
        if number % 100 == 0:
            name = words.ODD_NAMES[number // 100 % len(words.ODD_NAMES)]
        is_verified = self._chance(0.85)
        times = self._times()
        return {
            "id": self._id(),
            "email": f"{slug(name) or 'someone'}.{number}@{university['domains'][1]}",
            "name": name if self._chance(0.98) else None,
            "bio": self._text(1, 3) if self._chance(0.4) else None,
            "password": f"$2b$12${sample_id(self._random)}{sample_id(self._random)}",
            "role": self._random.choices(_ROLES, _ROLE_WEIGHTS)[0],
            "referralCode": f"{slug(name)[:6].upper()}{number:05d}",
            "socialStats": self._social_stats() if self._chance(0.3) else None,
            "powerScore": int(self._random.expovariate(1 / 120)),
            "emailVerified": times["createdAt"] + timedelta(hours=2) if is_verified else None,
            "verificationToken": None if is_verified else sample_id(self._random),
            "verificationExpires": None if is_verified else times["createdAt"] + timedelta(days=1),
            "failedLoginAttempts": self._random.choice((0, 0, 0, 0, 1, 3)),
            "lockedUntil": None,
            "isPublicProfile": self._chance(0.5),
            "publicPersonId": None,
            "universityId": university["id"],
            "secondaryUniversityId": None,
            **times,
        }

    def _social_stats(self) -> dict[str, Any]:
        return {"followers": self._random.randrange(500), "platforms": ["github", "mastodon"]}

    def _page(self, number: int) -> dict[str, Any]:
        topic, aspect = self._choice(words.TOPICS), self._choice(words.ASPECTS)
        institute = self._choice(self.institutes)
        belongs = self._chance(0.9)
        return {
            "id": self._id(),
            "name": f"{topic}: {aspect}",
            "slug": f"{slug(topic)}-{slug(aspect)}-{number}",
            "content": self._text(4, 14, separator="\n\n"),
            "published": self._chance(5 / 6),
            "keywords": self._random.sample([topic, *words.FIELDS, 'so-called "odd", ones'], 3),
            "universityId": institute["universityId"] if belongs else None,
            "instituteId": institute["id"] if belongs and self._chance(0.7) else None,
            "labId": None,
            **self._times(),
        }

    def _revisions(self) -> Rows:
        return [
            {
                "id": self._id(),
                "uniPageId": self._choice(self.pages)["id"],
                "authorId": self._owner(),
                "content": self._text(2, 8, separator="\n\n"),
                "status": self._random.choices(_STATUSES, _STATUS_WEIGHTS)[0],
                "spamScore": round(self._random.random(), 3) if self._chance(0.8) else None,
                **self._times(),
            }
            for _ in range(self._size.revisions)
        ]

    def _referrals(self) -> Rows:
        # Nobody of the fixed users was invited, so nobody can have invited himself.
        newcomers = self.users[len(FIXED_USERS) :]
        invited = self._random.sample(newcomers, min(self._size.referrals, len(newcomers)))
        return [
            {
                "id": self._id(),
                "referrerId": self._choice(FIXED_USERS)[0] if self._chance(0.1) else older["id"],
                "refereeId": user["id"],
                "createdAt": user["createdAt"],
            }
            for older, user in zip(self.users, invited, strict=False)
            if older is not user
        ]

    def _notifications(self) -> Rows:
        rows = []
        for _ in range(self._size.notifications):
            kind, title, message = self._choice(words.NOTICES)
            page = self._choice(self.pages)
            row = {
                "id": self._id(),
                "userId": self._owner(),
                "type": kind,
                "title": title,
                "message": message.format(name=self._choice(words.ODD_NAMES), page=page["name"]),
                "link": f"/wiki/{page['slug']}" if self._chance(0.6) else None,
                "read": self._chance(0.5),
                "createdAt": self._instant(),
            }
            rows.append(row)
        return rows

    def _bookmarks(self) -> Rows:
        return [
            {
                "id": self._id(),
                "userId": self._owner(),
                "pageId": self._choice(self.pages)["id"],
                "note": self._choice(words.NOTES) if self._chance(0.4) else None,
                "createdAt": self._instant(),
            }
            for _ in range(self._size.bookmarks)
        ]

    def _owner(self) -> str:
        # A few users have much: their exports are worth looking at.
        if self._chance(0.04):
            return str(self._choice(_BUSY_USERS))
        return str(self._choice(self.users)["id"])

    def _text(self, shortest: int, longest: int, *, separator: str = " ") -> str:
        length = self._random.randint(shortest, longest)
        sentences = self._random.choices(words.SENTENCES, k=length)
        if self._chance(0.05):
            sentences.insert(0, self._choice(words.LEADS))
        return separator.join(sentences)

    def _times(self) -> dict[str, datetime]:
        created = self._instant()
        return {
            "createdAt": created,
            "updatedAt": created + (NOW - created) * self._random.random(),
        }

    def _instant(self) -> datetime:
        return NOW - timedelta(seconds=self._random.randrange(3 * 365 * 86_400))

    def _choice(self, choices: Any) -> Any:
        return choices[int(self._random.random() * len(choices))]

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def _id(self) -> str:
        return sample_id(self._random)


def slug(text: str) -> str:
    """Return the text as a part of an address: lower-case ASCII letters, digits and hyphens."""
    kept = "".join(
        letter if letter.isascii() and letter.isalnum() else " " for letter in text.lower()
    )
    return "-".join(kept.split())
