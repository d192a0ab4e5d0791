"""What the API says when it cannot do what it was asked: `application/problem+json`, and no traceback."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from auditor import AuditorError

from ..security.refusing import PROBLEM

_LOG = logging.getLogger(__name__)

ANSWERS: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A problem, as RFC 9457 has it.",
        "content": {
            PROBLEM: {
                "schema": {
                    "type": "object",
                    "required": ["type", "title", "status"],
                    "properties": {
                        "type": {"type": "string"},
                        "title": {"type": "string"},
                        "status": {"type": "integer"},
                        "detail": {"type": "string"},
                    },
                }
            }
        },
    }
}
"""For the description of every call."""


class Problem(Exception):
    """Ends a call. `detail` says what to do."""

    def __init__(self, status: int, detail: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


def install(app: FastAPI) -> None:
    """Answer with problems whatever goes wrong."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(AuditorError, _auditor)
    app.add_exception_handler(Exception, _unforeseen)


def _answer(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    document = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse(document, status, headers=headers, media_type=PROBLEM)


async def _problem(_: Request, error: Any) -> JSONResponse:
    return _answer(error.status, error.detail, error.headers)


async def _http(_: Request, error: Any) -> JSONResponse:
    return _answer(error.status_code, str(error.detail), error.headers)


async def _invalid(_: Request, error: Any) -> JSONResponse:
    said = (f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in error.errors())
    return _answer(422, "; ".join(said))


async def _auditor(_: Request, error: Any) -> JSONResponse:
    # Its text may name a path of this server.
    _LOG.warning("the API could not answer: %s", error)
    return _answer(409, "This audit cannot be read; delete it and upload its logs again.")


async def _unforeseen(_: Request, error: Any) -> JSONResponse:
    _LOG.error("the API failed", exc_info=error)
    return _answer(500, "This is a bug. The log of the server says more.")
