"""The HTTP API, under `/api`: what CI pushes logs to, and what other programs read."""

from __future__ import annotations

from fastapi import Depends, FastAPI
from fastapi.security import HTTPBearer

from ..metrics import Metrics
from ..service import Service
from . import audits, problems, uploads
from .asking import Context


def app(service: Service, metrics: Metrics) -> FastAPI:
    """The API of a dashboard. `/openapi.json` describes it; there is no page that does, as those load scripts."""
    made = FastAPI(
        title="auditor",
        version="1",
        description="Upload event logs, follow their audit, fetch its findings and reports.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
        # For the description only: the gate has asked already.
        dependencies=[Depends(HTTPBearer(auto_error=False))],
    )
    made.state.context = Context(service, metrics)
    problems.install(made)
    made.include_router(uploads.router, prefix="/v1")
    made.include_router(audits.router, prefix="/v1")
    return made
