"""``--deploy M``: deployment through the SDK, successful only if the API returns the same chute."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chutes_wrappers.cli import module_preparation, output, sdk_upload
from chutes_wrappers.cli.deployment_fee import accept_fee_notice, report_accepted_fee
from chutes_wrappers.cli.sdk_upload import UploadOptions
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.module_headers import format_secret_command
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host import upload_records
from chutes_wrappers.host.deployment_records import keep_deployment
from chutes_wrappers.host.modules.definition import describe_staged_module
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from chutes_wrappers.host.platform_api.api_client import PlatformApi
from chutes_wrappers.host.platform_api.api_urls import find_chute_url
from chutes_wrappers.host.platform_api.error_responses import format_reason
from chutes_wrappers.host.platform_api.lookup import (
    find_image,
    find_listed_chute,
    find_own_chute,
    list_own_chutes,
    refresh_chute,
)
from chutes_wrappers.host.platform_api.objects import AccountInfo, ChuteInfo, ImageInfo, parse_chute
from chutes_wrappers.host.platform_api.price_lookup import fetch_pricing
from chutes_wrappers.host.preflight.account import (
    find_chute_problems,
    find_deployment_problems,
    find_logo_problems,
    find_updated_chute,
)
from chutes_wrappers.host.preflight.problem import Problem
from chutes_wrappers.host.pricing import compute_first_deployment_fee, find_hourly_price, is_fee_notice
from chutes_wrappers.host.staging import Stage, create_stage

_ALWAYS_COMPARED_FIELDS = ("path", "public_api_path")
_COMPARED_FIELDS = ("path", "public_api_path", "public_api_method", "method", "stream", "passthrough")


def deploy_module(module: str, options: UploadOptions, *, accept_fee: bool) -> int:
    """Deploy ``module``; ``accept_fee`` accepts the fee of a first deployment before the platform asks for it.

    Returns 0 once the API returns a new version with the module's cords, or this version was deployed already.
    """
    facts = module_preparation.read_facts(module)
    manifest = sdk_upload.require_manifest(facts)
    with (
        sdk_upload.connect_as_owner() as (api, user),
        create_stage(facts, manifest, username=user.username) as stage,
    ):
        definition = describe_staged_module(stage, output.report)
        own_chutes = [parse_chute(record) for record in list_own_chutes(api)]
        listed = find_updated_chute(definition["name"], own_chutes)
        before = refresh_chute(api, listed) if listed is not None else None  # the list may be old
        pricing, selector = fetch_pricing(api) if before is None else {}, definition["node_selector"]
        # Only the platform's own prices refuse a deployment: those of our table may be old.
        fee = compute_first_deployment_fee(pricing, selector) if before is None else None
        check_deployment(api, user, facts, definition, stage, module, fee, own_chutes, options)
        if accept_fee and before is None:
            report_accepted_fee(definition["name"], find_hourly_price(selector, pricing=pricing))
        fee_arguments = ["--accept-fee"] if accept_fee else []
        after = deploy_stage(
            api, stage, facts, definition, before, fee_arguments, options, payment_address=user.payment_address
        )
        keep_for_rollback(api, stage, after, definition, facts.path)
        report_deployment(after, before, find_chute_url(after, api.url), options, facts.headers.variables)
    return 0


def deploy_stage(
    api: PlatformApi,
    stage: Stage,
    facts: ModuleFacts,
    definition: Mapping[str, Any],
    before: ChuteInfo | None,
    fee_arguments: Sequence[str],
    options: UploadOptions,
    *,
    payment_address: str = "",
) -> ChuteInfo:
    """Deploy the module of ``stage`` through the SDK, and return the chute that ``check_deployed`` accepted.

    ``before`` is the chute that the deployment updates. Without ``fee_arguments`` the user is asked about the fee if the
    platform refuses with a notice of one. That refusal deploys nothing, and does not count for the day (PLATFORM.md,
    section 4). Nothing is sent again after any other response, or none: the API's record shows the result.
    ``payment_address`` is the account's.
    """
    name = str(definition["name"])
    sdk_error = _send_stage(stage, facts, name, [*fee_arguments, *options.arguments], options)
    is_asked = not fee_arguments and is_fee_notice(sdk_error)
    if is_asked:
        accept_fee_notice(name, format_reason(sdk_error))
        sdk_error = _send_stage(stage, facts, name, ["--accept-fee", *options.arguments], options)
    after = _find_deployed_chute(api, before, name)
    check_deployed(
        after, before, definition["cords"], sdk_error, payment_address=payment_address, public=options.public
    )
    assert after is not None
    if before is None and not fee_arguments and not is_asked:
        output.report(f"the platform asked for no fee of the first deployment of {name}")
    return after


def _send_stage(stage: Stage, facts: ModuleFacts, name: str, arguments: Sequence[str], options: UploadOptions) -> str:
    """Run the SDK's deployment once, and return its last error."""
    sdk_upload.show_command(facts.manifest_path, "deploy", stage.reference, *arguments)
    try:
        with output.Progress(f"Deploying {name}", verbose=options.debug) as progress:
            return sdk_upload.run_upload(stage, ["deploy", stage.reference, *arguments], progress, {})
    except KeyboardInterrupt:
        output.warning(f"the platform may have deployed it nevertheless: --status {name} shows the version")
        raise


def _find_deployed_chute(api: PlatformApi, before: ChuteInfo | None, name: str) -> ChuteInfo | None:
    """Return the account's chute after a deployment, or None.

    A list may be up to 60 s old (the server of 2025), also when it shows another version than before. It is used for the
    cords, which only the list may have.
    """
    listed = find_listed_chute(api, before.name if before is not None else name)
    if before is None:
        return listed or find_own_chute(api, name)
    current = refresh_chute(api, before)
    return listed if listed is not None and listed.version == current.version else current


def keep_for_rollback(
    api: PlatformApi, stage: Stage, chute: ChuteInfo, definition: Mapping[str, Any], source: Path
) -> None:
    """Keep the deployed files of ``stage`` on this machine, or warn; ``source`` is the user's file of the module."""
    try:
        image = sdk_upload.build_image_reference(definition)
        keep_deployment(stage, chute, definition, source=source, image=image, api_url=api.url)
    except (OSError, WrapperError) as error:
        reason = (error.strerror or type(error).__name__) if isinstance(error, OSError) else error.what
        output.warning(f"this deployment of {chute.name} is not kept, so --rollback cannot return to it: {reason}")


def check_deployed(
    after: ChuteInfo | None,
    before: ChuteInfo | None,
    cords: Sequence[Mapping[str, Any]],
    sdk_error: str,
    *,
    payment_address: str = "",
    public: bool | None = None,
) -> None:
    """Raise WrapperError unless ``after`` is a new version, or the same one again, and has the module's ``cords``.

    It must also be as ``public`` as requested; None for any. A deployment that changes only this has the same version.
    """
    if after is None:
        raise sdk_upload.make_upload_error(
            "it did not accept the deployment", sdk_error, payment_address=payment_address
        )
    is_same = before is not None and before.version == after.version and before.public == after.public
    if is_same and not (after.version in sdk_error and "already exists" in sdk_error):
        what = f"{after.name} is still at version {after.version}"
        raise sdk_upload.make_upload_error(what, sdk_error, payment_address=payment_address)
    actual, expected = _select_comparable(after.cords, after.cords), _select_comparable(cords, after.cords)
    if actual != expected:
        different = sorted({cord[1] for cord in {*actual} ^ {*expected}})
        raise WrapperError(
            f"the cords of {after.name} on the platform differ from those of the module",
            evidence=f"different at {', '.join(different)[:400]}",
            next_step="deploy again; if they still differ, check with --status",
        )
    if public is not None:
        _check_visibility(after, public)


def _check_visibility(chute: ChuteInfo, public: bool) -> None:
    name = shlex.quote(chute.name)
    if public and not chute.public:
        step = f"give others access with {NAMES.deploy} --share {name} USER: the platform did not make it public"
    else:
        step = f"delete it with {NAMES.deploy} --delete {name}, and deploy it again: until then everybody can call it"
    sdk_upload.check_visibility(f"the chute {chute.name}", chute.public, public, step)


def _select_comparable(
    cords: Sequence[Mapping[str, Any]], reported: Sequence[Mapping[str, Any]]
) -> list[tuple[str, ...]]:
    """Return the comparable fields of ``cords``: path, public path, and those that the API returns for any cord."""
    names = [
        name for name in _COMPARED_FIELDS if name in _ALWAYS_COMPARED_FIELDS or any(name in cord for cord in reported)
    ]
    return sorted(tuple(str(cord.get(name) or "") for name in names) for cord in cords)


def check_deployment(
    api: PlatformApi,
    user: AccountInfo,
    facts: ModuleFacts,
    definition: Mapping[str, Any],
    stage: Stage,
    module: str,
    fee: float | None,
    own_chutes: Sequence[ChuteInfo],
    options: UploadOptions,
) -> None:
    """Raise one ConfigurationError for everything that the platform would reject, or would deploy as another chute.

    ``module`` names the module in the fixes, and ``fee`` is None for an update.
    """
    reference = sdk_upload.build_image_reference(definition)
    image = find_image(api, reference)
    problems = find_deployment_problems(user, image, reference=reference, module=module, public=options.public, fee=fee)
    module_preparation.check_with_platform_rules(
        facts,
        definition,
        user.username,
        [
            *find_chute_problems(definition, own_chutes),
            *problems,
            *_find_stale_image_problems(image, stage, facts),
            *find_logo_problems(options.logo),
        ],
    )


def _find_stale_image_problems(image: ImageInfo | None, stage: Stage, facts: ModuleFacts) -> list[Problem]:
    if image is None or not upload_records.is_stale(image.image_id, stage):
        return []
    return [
        Problem(
            rule="stale-image",
            what=f"{image.reference} was built with another manifest: its instances would serve other routes",
            where=str(facts.manifest_path),
            fix="change CHUTE_TAG, and build again",
        )
    ]


def report_deployment(
    after: ChuteInfo,
    before: ChuteInfo | None,
    url: str | None,
    options: UploadOptions,
    variables: Sequence[str] = (),
) -> None:
    """Print the deployed chute with its ``url`` if that is known, and whether it is another version than ``before``.

    ``variables`` are those of the module's CHUTE_HEADERS.
    """
    is_same = before is not None and (before.version, before.public) == (after.version, after.public)
    if options.as_json:
        payload = {
            "chute_id": after.chute_id,
            "name": after.name,
            "version": after.version,
            "url": url,
            "changed": not is_same,
        }
        output.print_json(payload)
    if is_same:
        output.success(f"this version of {after.name} is deployed already: {after.version}")
    elif before is not None and before.public != after.public:
        output.success(f"{after.name} is {'public' if after.public else 'private'} now, version {after.version}")
    else:
        output.success(f"{after.name} is deployed with {len(after.cords)} cords, version {after.version}")
    output.report(f"URL: {url or 'unknown'}")
    if before is None:
        output.report(
            f"A secret that its start needs must be set before the warm-up: {NAMES.deploy} --secret {after.name} KEY"
        )
    for variable in variables:
        command = format_secret_command(after.name, variable)
        output.report(f"Its instances do not start without the secret {variable}: {command}")
    output.report(f"Next: {NAMES.deploy} --warmup {after.name}")
