"""Names of models, versions, aliases, datasets and jobs.

Every name is parsed and built here and nowhere else. Version ids are digits and alias ids start with a letter, so one slot
holds both: ``banking``, ``banking@7``, ``banking@canary``.
"""

import re
import secrets
from dataclasses import dataclass

from shared.errors import NameMalformedError

DEFAULT_ALIAS = "production"

_ID = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_VERSION = re.compile(r"[1-9][0-9]{0,6}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SHORT_DIGITS = 12  # of a digest, as people read it
_JOB = re.compile(r"job-[0-9a-f]{16}")
_ID_FORM = "1 to 63 of a-z, 0-9 and '-', starting with a letter and not ending with '-'"


def check_id(value: str, *, field: str) -> str:
    """Return `value` if it can name a model, an alias or a dataset, else raise NameMalformedError for `field`."""
    if not _ID.fullmatch(value):
        raise NameMalformedError(f"{field}: {value[:80]!r} is not {_ID_FORM}", field=field, value=value[:80])
    return value


@dataclass(frozen=True, slots=True, order=True)
class VersionName:
    """A concrete version of a model, `banking@7`. Numbers run from 1 to 9,999,999."""

    model: str
    number: int

    @classmethod
    def parse(cls, text: str, *, field: str = "model_version") -> "VersionName":
        """Read `name@number`."""
        model, separator, number = text.partition("@")
        if not separator or not _VERSION.fullmatch(number):
            raise NameMalformedError(
                f"{field}: {text[:80]!r} is not name@version", field=field, value=text[:80]
            )
        return cls(check_id(model, field=field), int(number))

    def __str__(self) -> str:
        return f"{self.model}@{self.number}"


@dataclass(frozen=True, slots=True)
class AliasName:
    """A movable pointer of a model, `banking@production`."""

    model: str
    alias: str

    def __str__(self) -> str:
        return f"{self.model}@{self.alias}"


ModelReference = VersionName | AliasName


def parse_reference(text: str, *, field: str = "model") -> ModelReference:
    """Read `name`, `name@alias` or `name@version`; a bare name means its `production` alias."""
    model, separator, pointer = text.partition("@")
    check_id(model, field=field)
    if not separator:
        return AliasName(model, DEFAULT_ALIAS)
    if _VERSION.fullmatch(pointer):
        return VersionName(model, int(pointer))
    if not _ID.fullmatch(pointer):
        raise NameMalformedError(
            f"{field}: {text[:80]!r} is neither name@version, a number from 1 to 9999999, nor name@alias, {_ID_FORM}",
            field=field,
            value=text[:80],
        )
    return AliasName(model, pointer)


@dataclass(frozen=True, slots=True)
class DatasetName:
    """A dataset (`digest` empty: its newest snapshot) or one snapshot of it, `support@sha256:<64 hex digits>`."""

    dataset: str
    digest: str = ""

    @classmethod
    def parse(cls, text: str, *, field: str = "dataset") -> "DatasetName":
        """Read `name` or `name@sha256:<digest>`."""
        dataset, separator, pointer = text.partition("@")
        check_id(dataset, field=field)
        if not separator:
            return cls(dataset)
        algorithm, _, digest = pointer.partition(":")
        if algorithm != "sha256" or not _DIGEST.fullmatch(digest):
            raise NameMalformedError(
                f"{field}: {text[:120]!r} is not name@sha256:<64 hexadecimal digits>",
                field=field,
                value=text[:120],
            )
        return cls(dataset, digest)

    @property
    def short(self) -> str:
        """For people, where it stands many times: the first digits of its digest tell a dataset's snapshots apart, and no call takes them."""
        return f"{self.dataset}@sha256:{self.digest[:_SHORT_DIGITS]}" if self.digest else self.dataset

    def __str__(self) -> str:
        return f"{self.dataset}@sha256:{self.digest}" if self.digest else self.dataset


def new_job_id() -> str:
    """Make the id of a new job: `job-` and 16 random hexadecimal digits."""
    return f"job-{secrets.token_hex(8)}"


def check_job_id(value: str, *, field: str = "id") -> str:
    """Return `value` if it has the form of a job id, else raise NameMalformedError for `field`."""
    if not _JOB.fullmatch(value):
        raise NameMalformedError(f"{field}: {value[:80]!r} is not a job id", field=field, value=value[:80])
    return value
