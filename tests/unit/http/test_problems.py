"""Which problem each error becomes."""

from __future__ import annotations

import json

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.exceptions import HTTPException

from oxcart.database.errors import DatabaseUnavailable
from oxcart.errors import JobNotFound, PayloadError, StoreTimeout, StoreUnavailable
from oxcart.http.problems import MEDIA_TYPE, Kind, ProblemError, problem_of

SECRET = "redis://:hunter2@10.0.0.5:6379"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (JobNotFound(job_id="1", queue="email"), Kind.NOT_FOUND),
        (PayloadError("too big"), Kind.INVALID_FIELDS),
        (StoreUnavailable(SECRET), Kind.QUEUE_UNAVAILABLE),
        (StoreTimeout(SECRET), Kind.QUEUE_UNAVAILABLE),
        (DatabaseUnavailable(SECRET), Kind.DATABASE_UNAVAILABLE),
        (HTTPException(404), Kind.NOT_FOUND),
        (HTTPException(405), Kind.METHOD_NOT_ALLOWED),
        (HTTPException(418), Kind.BAD_REQUEST),
        (HTTPException(502), Kind.INTERNAL),
        (RuntimeError(SECRET), Kind.INTERNAL),
        (ExceptionGroup("tasks", [StoreUnavailable(SECRET)]), Kind.QUEUE_UNAVAILABLE),
        (ExceptionGroup("two", [ValueError(), ValueError()]), Kind.INTERNAL),
    ],
)
def test_error_becomes_its_problem(error: Exception, kind: Kind) -> None:
    assert kind is problem_of(error).kind


@pytest.mark.parametrize(
    "error", [StoreUnavailable(SECRET), DatabaseUnavailable(SECRET), RuntimeError(SECRET)]
)
def test_the_servers_own_problems_do_not_show_the_errors_text(error: Exception) -> None:
    assert "hunter2" not in json.dumps(problem_of(error).document("id"))


def test_document_has_the_members_of_the_rfc_and_the_plain_error() -> None:
    problem = ProblemError(Kind.NOT_FOUND, "no such export", retry_after="5").problem

    response = problem.response("request-1")

    assert json.loads(bytes(response.body)) == {
        "type": "/docs#not-found",
        "title": "Not found",
        "status": 404,
        "detail": "no such export",
        "error": "no such export",
        "requestId": "request-1",
    }
    assert response.headers["content-type"] == MEDIA_TYPE
    assert response.headers["retry-after"] == "5"


def test_bad_fields_are_named_by_pointer_without_their_values() -> None:
    class Strict(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True)
        size: int

    with pytest.raises(ValidationError) as caught:
        Strict.model_validate({"size": "hunter2", "a/b~c": 1, "x" * 500: 1})
    document = problem_of(caught.value).document(None)

    pointers = [error["pointer"] for error in document["errors"]]
    assert pointers == ["/size", "/a~1b~0c", "/" + "x" * 100]
    assert "hunter2" not in json.dumps(document)


def test_slugs_are_unique() -> None:
    slugs = [kind.slug for kind in Kind]

    assert len(set(slugs)) == len(slugs)
