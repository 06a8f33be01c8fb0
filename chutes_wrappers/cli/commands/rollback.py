"""``--rollback NAME``: an earlier version of a chute, deployed again from what this machine kept of its deployment."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from chutes_wrappers.cli import output, prompts, sdk_upload
from chutes_wrappers.cli.commands.deploy import check_deployment, deploy_stage, keep_for_rollback
from chutes_wrappers.cli.sdk_upload import UploadOptions
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.manifest import load_manifest
from chutes_wrappers.core.program import NAMES, VERSION
from chutes_wrappers.core.text import clean_text
from chutes_wrappers.host.deployment_records import (
    DeploymentRecord,
    find_version_before,
    list_cords,
    list_deployments,
)
from chutes_wrappers.host.modules.definition import describe_staged_module
from chutes_wrappers.host.modules.module_facts import read_module
from chutes_wrappers.host.modules.module_files import format_module
from chutes_wrappers.host.platform_api.api_client import PlatformApi
from chutes_wrappers.host.platform_api.api_urls import find_chute_url
from chutes_wrappers.host.platform_api.lookup import find_image, get_own_chute, list_own_chutes, resolve_chute_name
from chutes_wrappers.host.platform_api.objects import AccountInfo, ChuteInfo, format_age, parse_chute
from chutes_wrappers.host.preflight.account import find_updated_chute
from chutes_wrappers.host.staging import create_stage

_SHORT = 8
_OTHER_WAY = f"check its commit out with git, then run {NAMES.deploy} --deploy MODULE"


def roll_back(name: str, version: str, options: UploadOptions) -> int:
    """Deploy the version before the present one of a chute, or ``version``, which may be the beginning of one.

    Returns 0 once the API returns the new version with the cords of then. Raises ConfigurationError for a version that is not
    kept or ambiguous.
    """
    chute_name = resolve_chute_name(name, output.report)
    with sdk_upload.connect_as_owner() as (api, user):
        chute = get_own_chute(api, chute_name)
        records = list_deployments(chute.chute_id, api.url)
        record = _find_version(records, chute, version) if version else _find_version_before(records, chute)
        if record.version == chute.version:
            _report_same(chute, options)
            return 0
        _deploy_again(api, user, chute, records, record, replace(options, public=record.public))
    return 0


def _deploy_again(
    api: PlatformApi,
    user: AccountInfo,
    chute: ChuteInfo,
    records: Sequence[DeploymentRecord],
    record: DeploymentRecord,
    options: UploadOptions,
) -> None:
    facts = read_module(record.module, output.report)
    with create_stage(facts, load_manifest(record.manifest), username=user.username) as stage:
        definition = describe_staged_module(stage, output.report)
        own_chutes = [parse_chute(each) for each in list_own_chutes(api)]
        before = find_updated_chute(definition["name"], own_chutes)
        _check_unchanged(record, definition, before, chute)
        module = format_module(record.module)
        check_deployment(api, user, facts, definition, stage, module, None, own_chutes, options)
        _show(record, chute, records)
        _warn_about_rebuild(api, record)
        if not options.yes:
            prompts.require_confirmation(
                f"Deploy version {_shorten(record.version)} of {chute.name}?",
                subject=f"the rollback of {chute.name}",
                refusal=f"{chute.name} was not rolled back",
                command="--rollback",
            )
        after = deploy_stage(api, stage, facts, definition, chute, [], options)
        keep_for_rollback(api, stage, after, definition, record.source)
    _report(after, chute, record, find_chute_url(after, api.url), options)


def _find_version_before(records: Sequence[DeploymentRecord], chute: ChuteInfo) -> DeploymentRecord:
    if (record := find_version_before(records, chute.version)) is not None:
        return record
    if not any(each.version != chute.version for each in records):
        raise _make_not_kept_error(
            f"this machine has not kept a version of {chute.name} before {_shorten(chute.version)}"
        )
    is_kept = any(each.version == chute.version for each in records)
    reason = "has no kept version before it" if is_kept else "was not deployed from this machine"
    raise ConfigurationError(
        f"cannot tell which version was before the present one of {chute.name}: {_shorten(chute.version)} {reason}",
        evidence=_format_versions(records, chute),
        next_step=f"choose one: {NAMES.deploy} --rollback {shlex.quote(chute.name)} --to VERSION",
    )


def _find_version(records: Sequence[DeploymentRecord], chute: ChuteInfo, version: str) -> DeploymentRecord:
    """Return the newest record of the version that begins with ``version``."""
    matches = {record.version: record for record in records if record.version.startswith(version.lower())}
    if len(matches) == 1:
        return next(iter(matches.values()))
    if not records:
        raise _make_not_kept_error(f"this machine has not kept any version of {chute.name}")
    what = (
        f"{len(matches)} kept versions of {chute.name} begin" if matches else f"no kept version of {chute.name} begins"
    )
    raise ConfigurationError(
        f"{what} with {version!r}",
        evidence=_format_versions(records, chute),
        next_step="give --to more of one of these" if matches else f"give --to one of these, or {_OTHER_WAY}",
    )


def _make_not_kept_error(what: str) -> WrapperError:
    return WrapperError(
        what,
        evidence="only the machine that deploys a version keeps it, so the versions of another machine or a CI are not here",
        next_step=_OTHER_WAY,
    )


def _format_versions(records: Sequence[DeploymentRecord], chute: ChuteInfo) -> str:
    newest = {record.version: record for record in records}
    return "\n".join(
        f"{record.version}  {record.image}, {format_age(record.deployed_at)} ago"
        f"{' (deployed now)' if record.version == chute.version else ''}"
        for record in reversed(newest.values())
    )


def _check_unchanged(
    record: DeploymentRecord, definition: Mapping[str, Any], before: ChuteInfo | None, chute: ChuteInfo
) -> None:
    """Raise WrapperError when the kept module now defines another chute, image or cords than at its deployment."""
    image = sdk_upload.build_image_reference(definition)
    where, what = str(record.module), ""
    if before is None or before.chute_id != chute.chute_id:
        what = f"the kept module deploys {definition['name']!r}, not {chute.name}"
    elif image != record.image:
        what = f"the kept module names the image {image} now, and named {record.image} when it was deployed"
    if what:
        raise WrapperError(
            what, where=where, next_step="set the variables that it reads as they were, and roll back again"
        )
    if list_cords(definition) != record.cords:
        raise WrapperError(
            f"the cords of the kept module differ from those that {record.image} contains",
            where=where,
            evidence=f"it was deployed with version {record.program} of this program; this is {VERSION}",
            next_step=f"roll back with that version, or increase CHUTE_TAG in {record.source}, build it and deploy it",
        )


def _show(record: DeploymentRecord, chute: ChuteInfo, records: Sequence[DeploymentRecord]) -> None:
    output.report(f"This deploys an earlier version of {chute.name} again; it is free, and counts for the day's limit:")
    output.report(f"  version {record.version}, deployed {format_age(record.deployed_at)} ago; now {chute.version}")
    output.report(f"  image {record.image}; now {chute.image.reference if chute.image else 'unknown'}")
    current = next((each for each in reversed(records) if each.version == chute.version), None)
    difference = _count_lines(current, record) if current else "unknown: the present version was not deployed from here"
    output.report(f"  difference of the modules: {difference}")
    output.report("  settings that --set changed get the values of that module again")
    if logo_id := clean_text(chute.record.get("logo_id")):
        step = f"{NAMES.deploy} --set {shlex.quote(chute.name)} logo_id={shlex.quote(logo_id)}"
        output.report(f"  its logo is not sent again: {step} restores it")


def _warn_about_rebuild(api: PlatformApi, record: DeploymentRecord) -> None:
    image = find_image(api, record.image)
    if image is not None and image.created_at is not None and image.created_at > record.deployed_at:
        output.warning(f"{record.image} was built again after that deployment: its content may be another one now")


def _count_lines(current: DeploymentRecord, record: DeploymentRecord) -> str:
    old, new = (each.module.read_text(encoding="utf-8", errors="replace").splitlines() for each in (current, record))
    # Not ndiff, which takes minutes for a few hundred lines without similar ones.
    changes = [change for change in difflib.SequenceMatcher(None, old, new).get_opcodes() if change[0] != "equal"]
    removed = sum(end - start for _, start, end, _, _ in changes)
    added = sum(end - start for _, _, _, start, end in changes)
    return f"lines added {added}, removed {removed}" if changes else "none"


def _report_same(chute: ChuteInfo, options: UploadOptions) -> None:
    if options.as_json:
        output.print_json({"chute_id": chute.chute_id, "name": chute.name, "version": chute.version, "changed": False})
    output.success(f"this version of {chute.name} is deployed already: {chute.version}")


def _report(
    after: ChuteInfo, before: ChuteInfo, record: DeploymentRecord, url: str | None, options: UploadOptions
) -> None:
    if options.as_json:
        identity = {
            "chute_id": after.chute_id,
            "name": after.name,
            "version": after.version,
            "url": url,
            "changed": True,
        }
        output.print_json({**identity, "from": before.version, "image": record.image, "module": str(record.module)})
    output.success(f"{after.name} is rolled back to {record.image}, version {after.version}")
    if not _is_source_equal(record):
        output.warning(f"{record.source} is not changed: the next --deploy would deploy it, not what is deployed now")
    output.report(f"The deployed module: {record.module}")
    if after.is_disabled:
        output.warning(f"{after.name} is still disabled: {NAMES.deploy} --enable {shlex.quote(after.name)} opens it")
    else:
        output.report(f"Next: {NAMES.deploy} --warmup {shlex.quote(after.name)}")


def _is_source_equal(record: DeploymentRecord) -> bool:
    try:
        return record.source.read_bytes() == record.module.read_bytes()
    except OSError:
        return False


def _shorten(version: str) -> str:
    return version[:_SHORT]
