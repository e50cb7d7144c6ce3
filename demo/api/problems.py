"""Errors of the API: one line of JSON in words of its own, with what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from demo.api.models import Problem
from demo.security.middleware import error_response
from geoloc.errors import GeolocError

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": about}
    for status, about in {
        400: "The form cannot be parsed, or has too many parts.",
        401: "The API key is missing or wrong.",
        408: "The upload took too long.",
        413: "The upload is too large.",
        422: "No photo can be read, or an option is unknown or invalid.",
        429: "Too many requests from one client.",
        503: "Busy or stopping: try again later.",
    }.items()
}
GET_PROBLEMS: dict[int | str, dict[str, Any]] = {status: PROBLEMS[status] for status in (401, 422)}
NOT_FOUND = {"model": Problem, "description": "Unknown or expired."}

_FORM = "send a form (multipart/form-data) with the files in the field 'photos'"

_WORDS = (
    (
        r"Too many files\. Maximum number of files is (\d+)\.",
        r"more than \1 photos in one request; send fewer",
    ),
    (
        r"Too many fields\. Maximum number of fields is (\d+)\.",
        r"more than \1 fields in one form; leave some out",
    ),
    (
        r"Part exceeded maximum size of (\d+)KB\.",
        r"a field is larger than \1 kB; files need a file name",
    ),
    (r"Not Found", "no such address; /v1/openapi.json lists all"),
    (r"Method Not Allowed", "this address does not take such requests; see /v1/openapi.json"),
    (
        r"(There was an error parsing|Missing boundary|Invalid|Did not|Expected|The Content-D).*",
        f"the form cannot be read; {_FORM}",
    ),
)
"""Messages of the libraries, and ours."""

_INVALID = {
    "int_parsing": "give a whole number",
    "value_error": "{error}",
    "bool_parsing": "give true or false",
    "greater_than_equal": "give at least {ge}",
    "less_than_equal": "give at most {le}",
    "string_too_long": "give at most {max_length} characters",
    "too_long": "give at most {max_length}",
    "missing": "is missing",
}
"""What is wrong with a value, by pydantic's type of the error."""


def add_handlers(api: FastAPI) -> None:
    """Answer every error of an application with one line of JSON."""
    api.add_exception_handler(HTTPException, _http_problem)
    api.add_exception_handler(RequestValidationError, _validation_problem)
    api.add_exception_handler(GeolocError, _geoloc_problem)
    api.add_exception_handler(Exception, _internal_problem)


def in_words(error: Mapping[str, Any]) -> str:
    """Return what is wrong with a value, from one of pydantic's errors."""
    return _INVALID.get(error["type"], "is not understood").format(**error.get("ctx", {}))


async def _http_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    message = str(error.detail)
    for theirs, ours in _WORDS:
        if re.fullmatch(theirs, message, re.DOTALL):
            message = re.sub(theirs, ours, message, count=1, flags=re.DOTALL)
            break
    headers = dict(error.headers or {}) or None
    return error_response(request.scope, error.status_code, message, headers)


async def _validation_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    field = ".".join(part for part in first["loc"][1:] if isinstance(part, str))
    if field.partition(".")[0] == "photos":
        return error_response(request.scope, 422, f"photos: no file; {_FORM}")
    return error_response(request.scope, 422, f"{field}: {in_words(first)}; see /v1/openapi.json")


async def _geoloc_problem(request: Request, error: Exception) -> JSONResponse:
    return error_response(request.scope, 422, str(error))


async def _internal_problem(request: Request, error: Exception) -> JSONResponse:
    return error_response(request.scope, 500, "internal error; look up the request id in the log")
