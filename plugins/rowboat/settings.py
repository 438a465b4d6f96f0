"""Every setting of Rowboat, declared once: name, default, help.

A setting NAME is read from ROWBOAT_NAME in the environment, else from `.env` beside the project,
else from the file /run/secrets/rowboat_name, where containers have their secrets. No secret has a
default.
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
        description="Folder of all that a running system keeps on this machine: the embedded "
        "Postgres, Airflow's home, logs, secrets.",
    )
    database_url: SecretStr | None = Field(
        None,
        description="Postgres to use (postgresql://…). Unset: the embedded one, started on demand.",
    )
    raw_data: Place = Field(
        PROJECT / "raw_data", description="Folder of the CSV files, or s3://bucket/prefix."
    )
    backups: Place = Field(
        PROJECT / "backups", description="Folder of the AVRO backups, or s3://bucket/prefix."
    )
    s3_endpoint: str | None = Field(
        None, description="Address of a server that speaks S3. Unset: what AWS's settings say."
    )
    s3_encryption: Literal["AES256", "aws:kms"] | None = Field(
        None, description="How the server is asked to encrypt all that is written to S3."
    )
    s3_kms_key: str | None = Field(
        None, description="Key of aws:kms that it is to use. Unset: the bucket's."
    )
    migrations: Path = Field(
        PROJECT / "sql" / "migrations", description="Folder of the schema's migrations."
    )
    schemas: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Schemas whose tables Rowboat manages, separated by commas. Empty: all whose "
        "tables its owner role owns.",
    )
    settle: float = Field(
        1.0, ge=0, description="Seconds for which a file's size must be still before it is taken."
    )
    chunk_bytes: int = Field(
        4 * 2**20,
        ge=64,
        le=256 * 2**20,
        description="Bytes of a file that pass the door in one transaction.",
    )
    part_bytes: int = Field(
        256 * 2**20,
        ge=64,
        description="Bytes of a file that one task of Airflow stages: a file of which twice as "
        "much is to be loaded is cut into parts, which the workers share.",
    )
    reject_limit: str | None = Field(
        None,
        description="Rejected rows, as a count (500) or a share (10%), above which nothing of a "
        "file is kept. With it each file passes twice, the first time on trial.",
    )
    gzip_ratio: int = Field(
        200, ge=10, description="Times a .gz file may grow when it is unpacked; beyond: refused."
    )
    backup_codec: Literal["null", "deflate", "zstandard"] = Field(
        "zstandard", description="How the blocks of AVRO files are packed."
    )
    suspicious_loss: int = Field(
        50,
        ge=0,
        le=100,
        description="Rows, in percent, beyond which a table that has lost them since its last "
        "backup makes a set suspicious: nothing expires because of it.",
    )
    keep_daily: int = Field(
        7,
        ge=0,
        description="Days of which the last backup is kept; also how long a suspicious "
        "or safety set is kept.",
    )
    keep_weekly: int = Field(5, ge=0, description="Weeks of which the last backup is kept.")
    keep_monthly: int = Field(12, ge=0, description="Months of which the last backup is kept.")
    keep_least: int = Field(3, ge=1, description="Backups that are kept whatever their age.")
    poll: float | None = Field(
        None,
        gt=0,
        description="Seconds between two looks of the Airflow trigger at raw_data. Unset: 0.5, and "
        "10 on S3, where each look is paid for.",
    )
    alert_url: SecretStr | None = Field(
        None, description="Webhook to which Airflow posts what failed or is late."
    )
    airflow_port: int = Field(8080, description="Port of Airflow's web page on this machine.")
    airflow_url: str | None = Field(
        None, description="Address of the Airflow that the API asks. Unset: this machine's."
    )
    airflow_pages: str | None = Field(
        None,
        description="Address of Airflow's pages, where the console links them. Unset: that of "
        "ROWBOAT_AIRFLOW_URL.",
    )
    airflow_user: str = Field("admin", description="Airflow's user by whom the API works.")
    airflow_password: SecretStr | None = Field(
        None, description="That user's password. Unset: the one generated in ROWBOAT_HOME."
    )

    api_host: str = Field("127.0.0.1", description="Address that the API listens on.")
    api_port: int = Field(8887, description="Port of the API.")
    api_workers: int = Field(2, ge=1, description="Processes of the API.")
    api_threads: int = Field(4, ge=1, description="Requests that one of them works on at once.")
    api_body_bytes: int = Field(
        5 * 2**20,
        ge=1024,
        description="Bytes that a request's body may have; a file's upload may have any number.",
    )
    api_statement_seconds: float = Field(
        30, gt=0, description="Seconds after which the database ends a statement of the API."
    )
    api_lock_seconds: float = Field(
        5, gt=0, description="Seconds that a statement of the API waits for a lock."
    )
    api_log: Path | None = Field(
        None,
        description="Folder of api.log, where the API also writes its log. Unset: stdout alone.",
    )

    console_url: str | None = Field(
        None, description="Address of the console, where Airflow links it. Unset: this machine's."
    )
    session_minutes: int = Field(
        60, ge=1, description="Minutes without a request after which the console signs out."
    )

    oidc_issuer: str | None = Field(
        None, description="Address of an OpenID Connect issuer whose bearer tokens the API takes."
    )
    oidc_audience: str | None = Field(
        None, validate_default=True, description="Audience that its tokens must be for."
    )
    oidc_claim: str = Field(
        "scope", description="Claim that holds their scopes: rowboat:read, :write, :operate."
    )
    oidc_client_id: str | None = Field(
        None, description="Name by which the issuer knows the console, to sign in there."
    )
    oidc_client_secret: SecretStr | None = Field(
        None, description="The console's password at the issuer. Unset: it needs none."
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
            raise ValueError("must be set where ROWBOAT_OIDC_ISSUER is")
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
        """Return how many of `read` rows may be rejected before nothing is kept."""
        if self.reject_limit is None:
            return float("inf")
        if self.reject_limit.endswith("%"):
            return read * float(self.reject_limit[:-1]) / 100
        return int(self.reject_limit)


def is_guarded(address: str) -> bool:
    """Tell whether nobody on the way to an address can answer in its place."""
    parts = urlsplit(address)
    here = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    return bool(parts.hostname) and parts.scheme in (("https", "http") if here else ("https",))


@cache
def settings() -> Settings:
    """Return the settings of this process; raises SettingError with the variable's name."""
    try:
        return Settings()  # type: ignore[call-arg]  # pydantic fills every field
    except ValidationError as error:
        first = error.errors()[0]
        name = "ROWBOAT_" + str(first["loc"][0]).upper()
        raise SettingError(f"{name} cannot be used: {first['msg'].lower()}") from None
