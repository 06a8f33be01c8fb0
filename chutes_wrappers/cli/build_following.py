"""Following of an image's build on the platform: its log, its outages and its end."""

from __future__ import annotations

import time
from collections import deque
from http import HTTPStatus

from chutes_wrappers.cli import output
from chutes_wrappers.cli.commands.build import mask_variable_values
from chutes_wrappers.cli.outage_tolerance import OutageTolerance
from chutes_wrappers.core.base_images import build_refusal_step, is_refusal
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.platform_rules import IMAGE_BUILT
from chutes_wrappers.core.text import remove_escape_sequences
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed
from chutes_wrappers.host.platform_api.build_log import BuildLog
from chutes_wrappers.host.platform_api.lookup import find_own_image, refresh_image
from chutes_wrappers.host.platform_api.objects import ImageInfo
from chutes_wrappers.host.preflight.account import has_failed

_POLL_S = 2.0
_POLL_AFTER_OUTPUT_S = 0.2
_TAIL_LINES = 40
_ATTEMPTS_AFTER_END = 3
_OUTAGE = "the platform does not respond: the build continues there, and is followed again"


def find_uploaded_image(api: PlatformApi, reference: str, progress: output.Progress) -> ImageInfo | None:
    """Return the image after an upload, whose own response may be lost, or None. Tolerates an outage of a minute."""
    tolerance = OutageTolerance()
    while True:
        try:
            return find_own_image(api, reference)
        except WrapperError as failure:
            _tolerate(failure, tolerance)
        progress.add_line("the platform does not respond: asking what came of the upload")
        time.sleep(_POLL_S)


def follow_build(api: PlatformApi, uploaded: ImageInfo, progress: output.Progress, command: str) -> ImageInfo:
    """Print the log of an image's build until the build ends, and return the image. Tolerates an outage of a minute.

    Raises WrapperError with the reason if it was not built. ``command`` is the one that follows the build again.
    """
    log, tolerance, tail = BuildLog(api, uploaded), OutageTolerance(), deque[str](maxlen=_TAIL_LINES)
    attempts_after_end = 0
    while True:
        image = _refresh(api, uploaded, tolerance, command)
        if image is not None and image.status == IMAGE_BUILT:
            return image
        has_ended = image is not None and has_failed(image)
        line_count = log.line_count
        is_read = image is not None and _print_log(log, progress, tail, has_ended=has_ended)
        if image is not None and has_ended:
            attempts_after_end += 1
            if is_read or attempts_after_end > _ATTEMPTS_AFTER_END:
                raise _make_build_error(image, "\n".join(tail))
        progress.add_line(image.status if image is not None else _OUTAGE)
        time.sleep(_POLL_AFTER_OUTPUT_S if log.line_count > line_count else _POLL_S)


def _tolerate(failure: WrapperError, tolerance: OutageTolerance) -> None:
    """Raise ``failure`` unless it is an outage: no response, 429, or a 502 to 504 of the gateway. A 500 is the API's own fault."""
    if isinstance(failure, PlatformRequestFailed) and failure.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        raise failure
    tolerance.record_failure(failure)


def _refresh(api: PlatformApi, uploaded: ImageInfo, tolerance: OutageTolerance, command: str) -> ImageInfo | None:
    """Return the image's present state, or None during an outage. Raises WrapperError when the image does not exist any more."""
    try:
        image = refresh_image(api, uploaded)
    except WrapperError as failure:
        _tolerate(failure, tolerance)
        return None
    tolerance.record_success()
    if image is None:
        raise WrapperError(
            f"the image {uploaded.reference} no longer exists", next_step=f"build it again with {command}"
        )
    return image


def report_failed_build(api: PlatformApi, image: ImageInfo) -> None:
    """Print the end of the log of a build that failed while no command followed it."""
    tail = deque[str](maxlen=_TAIL_LINES)
    with output.Progress(f"Reading the log of the failed build of {image.reference}") as progress:
        _print_log(BuildLog(api, image), progress, tail, has_ended=True)
    for line in tail:
        output.report(f"  | {line}")


def _print_log(log: BuildLog, progress: output.Progress, tail: deque[str], *, has_ended: bool) -> bool:
    """Print the new lines of ``log``, and append them to ``tail``. Return False if it could not be read to its end.

    A log that cannot be read does not fail the build: the image's status decides.
    """
    try:
        for line in log.iter_new_lines(has_ended=has_ended):
            masked = mask_variable_values(remove_escape_sequences(line))
            tail.append(masked)
            progress.add_line(masked)
    except PlatformRequestFailed as error:
        return error.status == HTTPStatus.NOT_FOUND  # there may be no log before the build starts
    except WrapperError:
        return False
    return True


def _make_build_error(image: ImageInfo, log: str) -> WrapperError:
    what = f"the build of {image.reference} failed: {image.status}"
    if is_refusal(image.status):  # nothing was built: the log explains nothing
        return WrapperError(what, where=image.reference, next_step=build_refusal_step(image.reference))
    return WrapperError(
        what,
        where=image.reference,
        evidence=log or "the platform has no log of it",
        next_step=f"correct what the {'lines above report' if log else 'status reports'}, run --delete-image {image.reference}, and build again",
    )
