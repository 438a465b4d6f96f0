"""FastAPI and SQLModel: batches of hires over HTTP, as such services are written.

PEERS_ADDRESS=postgresql://… PEERS_KEY=… uvicorn peers.sqlmodel_service:app --workers 2

Its models are those of SQLModel's tutorial, one that validates and one of the table; one session a
request; one bulk insert (SQLAlchemy's "ORM Bulk INSERT Statements").
"""

import os
import secrets
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

from fastapi import Body, Depends, FastAPI, HTTPException, status
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AwareDatetime
from sqlalchemy import DateTime, insert, make_url
from sqlalchemy.exc import IntegrityError
from sqlmodel import Field, Session, SQLModel, create_engine

# its INSERT of many rows beats the pipeline of SQLAlchemy's other driver, psycopg
address = make_url(os.environ["PEERS_ADDRESS"]).set(drivername="postgresql+psycopg2")
engine = create_engine(address)
app = FastAPI()


class HireCreate(SQLModel):
    """A hire as a client sends it."""

    id: int
    employee_name: str = Field(min_length=1)
    hired_date: AwareDatetime
    department_id: int
    job_id: int


class Hire(SQLModel, table=True):
    """A row of the table, whose foreign keys the database knows."""

    __tablename__ = "hired_employees"
    __table_args__ = {"schema": "hired_employees"}

    id: int = Field(primary_key=True)
    employee_name: str
    hired_date: datetime = Field(sa_type=DateTime(timezone=True))
    department_id: int
    job_id: int


class Inserted(SQLModel):
    """The answer."""

    inserted: int


def bearer(given: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> None:
    """Let pass who bears the key."""
    if not secrets.compare_digest(given.credentials, os.environ["PEERS_KEY"]):
        raise HTTPException(status.HTTP_401_UNAUTHORIZED, "the key is unknown")


def session() -> Iterator[Session]:
    """Yield a session for one request."""
    with Session(engine) as opened:
        yield opened


@app.get("/health")
def health() -> None:
    """Tell that the service is up."""


@app.post(
    "/api/hired_employees", status_code=status.HTTP_201_CREATED, dependencies=[Depends(bearer)]
)
def create_hires(
    hires: Annotated[list[HireCreate], Body(min_length=1, max_length=1000)],
    session: Annotated[Session, Depends(session)],
) -> Inserted:
    """Insert 1 to 1,000 hires, all or none."""
    try:
        session.exec(insert(Hire), params=[hire.model_dump() for hire in hires])
        session.commit()
    except IntegrityError as error:
        raise HTTPException(status.HTTP_409_CONFLICT, str(error.orig)) from error
    return Inserted(inserted=len(hires))
