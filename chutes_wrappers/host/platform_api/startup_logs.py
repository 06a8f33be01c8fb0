"""The logs of instances that never became active, decrypted with the account's hotkey (SDK ``entrypoint/startup_logs.py``).

The SDK's own command fails: ``substrate-interface`` returns its public key as bytes, and ``bittensor-wallet`` 4.1 no private key.
Its decryption works under 0.6.9 and 0.6.11rc2, and is used here.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.text import clean_text
from chutes_wrappers.host.account.credentials import AccountCredentials
from chutes_wrappers.host.account.keypairs import decode_public_key, derive_private_scalar, keypair_from_seed
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed
from chutes_wrappers.host.platform_api.instance_logs import clean_log_line
from chutes_wrappers.host.platform_api.objects import ChuteInfo
from chutes_wrappers.host.platform_api.record_lookup import build_path

_NOT_FOUND = 404
# Of the newest output: a start that prints more would fill the terminal.
_MAX_CHUNKS = 10_000


@dataclass(frozen=True, kw_only=True)
class StartupLog:
    """The log of one instance. ``started_at`` is None when the API does not return it; ``ephemeral_key`` is in base64."""

    instance_id: str
    started_at: datetime | None
    ephemeral_key: str


@dataclass(frozen=True, kw_only=True)
class DecryptedLog:
    """The lines of a startup log, without the ``damaged_count`` of its ``chunk_count`` chunks that cannot be decrypted."""

    lines: tuple[str, ...]
    chunk_count: int
    damaged_count: int


def list_startup_logs(api: PlatformApi, chute: ChuteInfo) -> list[StartupLog]:
    """Return the startup logs of an own chute, the newest first; empty when there are none, or no longer."""
    what = f"listing the startup logs of {chute.name}"
    try:
        records = api.get_array(_build_sessions_path(chute), what, purpose="chutes")
    except PlatformRequestFailed as error:
        if error.status == _NOT_FOUND:
            return []
        raise
    logs = [_parse(record) for record in records if isinstance(record, Mapping) and record.get("instance_id")]
    oldest = datetime.fromtimestamp(0, timezone.utc)
    return sorted(logs, key=lambda log: log.started_at or oldest, reverse=True)


def read_startup_log(api: PlatformApi, chute: ChuteInfo, log: StartupLog, account: AccountCredentials) -> DecryptedLog:
    """Request a log and decrypt it. Raises WrapperError, also when no chunk can be decrypted."""
    path = build_path(_build_sessions_path(chute).lstrip("/"), log.instance_id)
    what = f"reading the startup log of the instance {log.instance_id[:8]}"
    try:
        response = api.get(f"{path}/chunks", what, purpose="chutes")
    except PlatformRequestFailed as error:
        if error.status == _NOT_FOUND:
            error.next_step = "run the command again, which lists the logs again: the platform keeps one for 4 hours"
        raise
    chunks = response.get("chunks")
    if not isinstance(chunks, list):
        raise WrapperError(
            f"{what}: the response has no chunks",
            evidence=clean_text(str(response))[:200],
            next_step="run the command again",
        )
    chunks = chunks[-_MAX_CHUNKS:]
    texts = _decrypt(chunks, log, account)
    decrypted = [text for text in texts if text is not None]
    if chunks and not decrypted:
        raise WrapperError(
            f"the startup log of the instance {log.instance_id[:8]} cannot be decrypted",
            evidence=f"it is damaged, or encrypted for another hotkey than {account.address}",
            next_step="use the file of the account and hotkey that deployed the chute: set CHUTES_CONFIG_PATH",
        )
    lines = (clean_log_line(line) for text in decrypted for line in text.splitlines())
    return DecryptedLog(
        lines=tuple(filter(None, lines)), chunk_count=len(chunks), damaged_count=len(chunks) - len(decrypted)
    )


def _build_sessions_path(chute: ChuteInfo) -> str:
    return f"{build_path('encrypted_logs', chute.chute_id)}/sessions"


def _decrypt(chunks: Sequence[Any], log: StartupLog, account: AccountCredentials) -> list[str | None]:
    """Return the text of each chunk, or None for one that cannot be decrypted. Raises ConfigurationError for an invalid seed."""
    try:
        scalar = derive_private_scalar(account.seed)
        public_key = decode_public_key(keypair_from_seed(account.seed).ss58_address)
    except (ValueError, TypeError):
        # Without the error's text, which may contain the seed.
        raise ConfigurationError(
            "the account's hotkey cannot decrypt",
            where=str(account.file),
            next_step="set hotkey_seed to 64 hexadecimal digits",
        ) from None
    return [_decrypt_chunk(chunk, scalar, public_key, log.ephemeral_key) for chunk in chunks]


def _decrypt_chunk(chunk: Any, scalar: bytes, public_key: bytes, ephemeral_key: str) -> str | None:
    from chutes.entrypoint._decrypt_logs import decrypt_log_chunks
    from cryptography.exceptions import InvalidTag

    try:
        text: str = decrypt_log_chunks(
            chunks_b64=[chunk],
            private_key_scalar=scalar,
            user_pubkey=public_key,
            ephemeral_pubkey=b64decode(ephemeral_key),
        )
    except (InvalidTag, binascii.Error, ValueError, TypeError, RuntimeError, OverflowError):
        return None
    return text


def _parse(record: Mapping[str, Any]) -> StartupLog:
    return StartupLog(
        instance_id=clean_text(record.get("instance_id")),
        started_at=_parse_time(record.get("started_at")),
        ephemeral_key=clean_text(record.get("ephemeral_pubkey")),
    )


def _parse_time(value: Any) -> datetime | None:
    """Return the time of unix seconds (SDK ``entrypoint/startup_logs.py``); None for another value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None
