"""Every setting of Rowboat, declared once: name, default, help.

A setting NAME is read from ROWBOAT_NAME in the environment, else from `.env` in the project folder,
else from the file /run/secrets/rowboat_name, where container platforms mount secrets. No secret
has a default.
"""

import re
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import (
    Field,
    PlainValidator,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from rowboat import address
from rowboat.address import Address
from rowboat.errors import SettingError

PROJECT = Path(__file__).resolve().parents[2]
Place: TypeAlias = Annotated[
    Address, NoDecode, PlainValidator(lambda given: address.parse_address(str(given)))
]
_SECRETS = Path("/run/secrets")


class Settings(BaseSettings):
    """The settings of one process."""

    model_config = SettingsConfigDict(
        env_prefix="ROWBOAT_",
        env_file=PROJECT / ".env",
        env_ignore_empty=True,
        secrets_dir=_SECRETS if _SECRETS.is_dir() else None,
        extra="ignore",
    )

    home: Path = Field(
        PROJECT / ".rowboat",
        description="Folder for everything that a running system keeps on this machine: the "
        "embedded Postgres, Airflow's home, logs and secrets.",
    )
    database_url: SecretStr | None = Field(
        None,
        description="URL of a Postgres 16 or newer (postgresql://…). Unset: the embedded "
        "Postgres, started on demand.",
    )
    raw_data: Place = Field(
        PROJECT / "raw_data", description="Folder of the CSV files, or s3://bucket/prefix."
    )
    backups: Place = Field(
        PROJECT / "backups", description="Folder of the AVRO backups, or s3://bucket/prefix."
    )
    s3_endpoint: str | None = Field(
        None,
        description="URL of an S3-compatible server. Unset: the endpoint in AWS's own settings, "
        "else AWS.",
    )
    s3_encryption: Literal["AES256", "aws:kms"] | None = Field(
        None,
        description="Server-side encryption to request for everything written to S3: AES256 or "
        "aws:kms. Unset: the bucket's default.",
    )
    s3_kms_key: str | None = Field(
        None, description="KMS key to use with aws:kms. Unset: the bucket's."
    )
    migrations: Path = Field(
        PROJECT / "sql" / "migrations", description="Folder of the schema migrations."
    )
    schemas: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Schemas whose tables Rowboat manages, separated by commas. Unset: every "
        "schema with tables owned by Rowboat's owner role.",
    )
    settle: float = Field(
        1.0,
        ge=0,
        description="Seconds for which a file's size must stay unchanged before the file is "
        "loaded.",
    )
    chunk_bytes: int = Field(
        4 * 2**20,
        ge=64,
        le=256 * 2**20,
        description="Bytes of a file that are loaded in one transaction.",
    )
    record_bytes: int = Field(
        64 * 2**20,
        ge=1024,
        le=512 * 2**20,
        description="Bytes that one record of a file may have; a file with a longer one is "
        "refused.",
    )
    part_bytes: int = Field(
        256 * 2**20,
        ge=64,
        description="Bytes of a file that one Airflow task stages. A file with more than twice as "
        "much to load is cut into parts, which the workers share.",
    )
    reject_limit: str | None = Field(
        None,
        description="Number (500) or share (10%) of rejected rows above which nothing of a file "
        "is kept. If set, each file is judged in a trial pass first. Unset: no limit.",
    )
    gzip_ratio: int = Field(
        200,
        ge=10,
        description="Factor by which a .gz file may grow when unpacked; a file that grows more is "
        "refused.",
    )
    backup_codec: Literal["null", "deflate", "zstandard"] = Field(
        "zstandard",
        description="Compression of the blocks in AVRO files: null, deflate or zstandard.",
    )
    suspicious_loss: int = Field(
        50,
        ge=0,
        le=100,
        description="Percentage of a table's rows: if more have been lost since its last backup, "
        "the new set is suspicious and causes no other set to expire.",
    )
    keep_daily: int = Field(
        7,
        ge=0,
        description="Number of days whose last backup is kept; also the days that suspicious sets "
        "and safety copies are kept.",
    )
    keep_weekly: int = Field(5, ge=0, description="Number of weeks whose last backup is kept.")
    keep_monthly: int = Field(12, ge=0, description="Number of months whose last backup is kept.")
    keep_least: int = Field(
        3, ge=1, description="Number of newest verified backups that are kept regardless of age."
    )
    poll: float | None = Field(
        None,
        gt=0,
        description="Seconds between two listings of raw_data by the Airflow trigger. Unset: 0.5, "
        "or 10 on S3, where each listing costs money.",
    )
    alert_url: SecretStr | None = Field(
        None,
        description="Webhook to which Airflow posts failed tasks and late backups. Unset: none.",
    )
    airflow_port: int = Field(8080, description="Port of Airflow's web server on this machine.")
    airflow_url: str | None = Field(
        None, description="URL at which the API reaches Airflow. Unset: this machine's Airflow."
    )
    airflow_pages: str | None = Field(
        None,
        description="URL of Airflow's pages for links in the console. Unset: ROWBOAT_AIRFLOW_URL.",
    )
    airflow_user: str = Field("admin", description="Airflow user that the API signs in as.")
    airflow_password: SecretStr | None = Field(
        None, description="Password of that user. Unset: the one generated in ROWBOAT_HOME."
    )

    api_host: str = Field("127.0.0.1", description="Address that the API listens on.")
    api_port: int = Field(8887, description="Port of the API and the console.")
    api_workers: int = Field(2, ge=1, description="Number of API processes.")
    api_threads: int = Field(
        4, ge=1, description="Requests that each API process handles at the same time."
    )
    api_body_bytes: int = Field(
        5 * 2**20,
        ge=1024,
        description="Maximum bytes of a request body; uploaded files have no limit.",
    )
    api_statement_seconds: float = Field(
        30, gt=0, description="Seconds after which the database cancels a statement of the API."
    )
    api_lock_seconds: float = Field(
        5, gt=0, description="Seconds that a statement of the API waits for a lock."
    )
    api_log: Path | None = Field(
        None,
        description="Folder for api.log, a copy of the API's log. Unset: the log goes to stdout "
        "only.",
    )

    console_url: str | None = Field(
        None, description="URL of the console for links in Airflow. Unset: this machine's."
    )
    session_minutes: int = Field(
        60, ge=1, description="Minutes without a request after which the console signs a user out."
    )

    oidc_issuer: str | None = Field(
        None,
        description="URL of an OpenID Connect issuer whose bearer tokens the API accepts, besides "
        "its own keys. Unset: none.",
    )
    oidc_audience: str | None = Field(
        None,
        validate_default=True,
        description="Audience that the issuer's tokens must be for; required with "
        "ROWBOAT_OIDC_ISSUER.",
    )
    oidc_claim: str = Field(
        "scope",
        description="Claim that holds the scopes of a token: rowboat:read, rowboat:write, "
        "rowboat:operate.",
    )
    oidc_client_id: str | None = Field(
        None,
        description="Client ID of the console at the issuer. Unset: users sign in to the console "
        "with a key only.",
    )
    oidc_client_secret: SecretStr | None = Field(
        None,
        description="Client secret of the console at the issuer. Unset: the client is public and "
        "has none.",
    )

    @field_validator("oidc_issuer")
    @classmethod
    def _guarded(cls, value: str | None) -> str | None:
        if value is not None and not is_guarded(value):
            raise ValueError("must begin with https://")
        return value

    @field_validator("oidc_audience")
    @classmethod
    def _audience(cls, value: str | None, others: ValidationInfo) -> str | None:
        if value is None and others.data.get("oidc_issuer"):
            raise ValueError("must be set if ROWBOAT_OIDC_ISSUER is set")
        return value

    @field_validator("alert_url")
    @classmethod
    def _webhook(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not re.match(r"https?://[^/]", value.get_secret_value()):
            raise ValueError("must begin with https:// or http://")
        return value

    @field_validator("schemas", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value

    @field_validator("reject_limit")
    @classmethod
    def _limit(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"\d+|\d+(\.\d+)?%", value):
            raise ValueError("must be a count such as 500 or a share such as 10%")
        return value

    def allowed_rejects(self, read: int) -> float:
        """Return how many of `read` rows may be rejected; above that, nothing is kept."""
        if self.reject_limit is None:
            return float("inf")
        if self.reject_limit.endswith("%"):
            return read * float(self.reject_limit[:-1]) / 100
        return int(self.reject_limit)


def is_guarded(address: str) -> bool:
    """Return whether an address is safe from interception: HTTPS, or HTTP to this machine."""
    parts = urlsplit(address)
    here = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    return bool(parts.hostname) and parts.scheme in (("https", "http") if here else ("https",))


@cache
def settings() -> Settings:
    """Return the settings of this process, read once; raises SettingError naming the variable."""
    try:
        return Settings()  # type: ignore[call-arg]  # pydantic fills every field
    except ValidationError as error:
        first = error.errors()[0]
        name = "ROWBOAT_" + str(first["loc"][0]).upper()
        raise SettingError(f"{name} cannot be used: {first['msg'].lower()}") from None
