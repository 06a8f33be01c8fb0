"""``--deploy M``: deployment through the SDK, successful only if the API returns the same chute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chutes_wrappers.cli import module_preparation, output, prompts, sdk_upload
from chutes_wrappers.cli.sdk_upload import UploadOptions
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.overruled_rules import refuse
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host import upload_records
from chutes_wrappers.host.modules.definition import describe_staged_module
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.api_client import PlatformApi
from chutes_wrappers.host.platform_api.lookup import find_image, find_listed_chute, list_own_chutes
from chutes_wrappers.host.platform_api.objects import AccountInfo, ChuteInfo, ImageInfo, parse_chute
from chutes_wrappers.host.preflight.account import (
    find_chute_problems,
    find_deployment_problems,
    find_logo_problems,
    find_updated_chute,
)
from chutes_wrappers.host.preflight.problem import Problem
from chutes_wrappers.host.pricing import compute_first_deployment_fee
from chutes_wrappers.host.staging import Stage, create_stage

_ALWAYS_COMPARED_FIELDS = ("path", "public_api_path")
_COMPARED_FIELDS = ("path", "public_api_path", "public_api_method", "method", "stream", "passthrough")


def deploy_module(module: str, options: UploadOptions, *, accept_fee: bool) -> int:
    """Deploy ``module``; ``accept_fee`` skips the question about the fee.

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
        before = find_updated_chute(definition["name"], own_chutes)
        fee = None if before else _fetch_fee(api, definition)
        check_deployment(api, user, facts, definition, stage, module, fee, own_chutes, options)
        fee_arguments = _build_fee_arguments(definition["name"], fee, accepted=accept_fee) if before is None else []
        after = deploy_stage(api, stage, facts, definition, before, fee_arguments, options)
        report_deployment(after, before, api_client.build_chute_url(after, api.url), options)
    return 0


def deploy_stage(
    api: PlatformApi,
    stage: Stage,
    facts: ModuleFacts,
    definition: Mapping[str, Any],
    before: ChuteInfo | None,
    fee_arguments: Sequence[str],
    options: UploadOptions,
) -> ChuteInfo:
    """Deploy the module of ``stage`` through the SDK, and return the chute that ``check_deployed`` accepted.

    ``before`` is the chute that the deployment updates. The deployed files are kept for ``--rollback``.
    """
    arguments = [*fee_arguments, *options.arguments]
    sdk_upload.show_command(facts.manifest_path, "deploy", stage.reference, *arguments)
    with output.Progress(f"Deploying {definition['name']}", verbose=options.debug) as progress:
        sdk_error = sdk_upload.run_upload(stage, ["deploy", stage.reference, *arguments], progress, {})
        after = find_listed_chute(api, before.name if before is not None else definition["name"])
    check_deployed(after, before, definition["cords"], sdk_error)
    assert after is not None
    return after


def check_deployed(
    after: ChuteInfo | None, before: ChuteInfo | None, cords: Sequence[Mapping[str, Any]], sdk_error: str
) -> None:
    """Raise WrapperError unless ``after`` is a new version, or the same one again, and has the module's ``cords``."""
    if after is None:
        raise sdk_upload.make_upload_error("it did not accept the deployment", sdk_error)
    is_same = before is not None and before.version == after.version
    if is_same and not (after.version in sdk_error and "already exists" in sdk_error):
        raise sdk_upload.make_upload_error(f"{after.name} is still at version {after.version}", sdk_error)
    actual, expected = _select_comparable(after.cords, after.cords), _select_comparable(cords, after.cords)
    if actual != expected:
        different = sorted({cord[1] for cord in {*actual} ^ {*expected}})
        raise WrapperError(
            f"the cords of {after.name} on the platform differ from those of the module",
            evidence=f"different at {', '.join(different)[:400]}",
            next_step="deploy again; if they still differ, check with --status",
        )


def _select_comparable(
    cords: Sequence[Mapping[str, Any]], reported: Sequence[Mapping[str, Any]]
) -> list[tuple[str, ...]]:
    """Return the comparable fields of ``cords``: path, public path, and those that the API returns for any cord."""
    names = [
        name for name in _COMPARED_FIELDS if name in _ALWAYS_COMPARED_FIELDS or any(name in cord for cord in reported)
    ]
    return sorted(tuple(str(cord.get(name) or "") for name in names) for cord in cords)


def _fetch_fee(api: PlatformApi, definition: Mapping[str, Any]) -> float | None:
    pricing = api.find("/pricing", "requesting prices", purpose="pricing") or {}
    return compute_first_deployment_fee(pricing, definition["node_selector"])


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


def _build_fee_arguments(name: str, fee: float | None, *, accepted: bool) -> list[str]:
    """Return the flag that accepts the fee of a first deployment, once the user accepted it. Updates are free."""
    amount = f"${fee:.2f}" if fee is not None else "three times its hourly price"
    if not accepted:
        if not prompts.is_possible():
            problem = ConfigurationError(
                f"the first deployment of {name} costs {amount} once", next_step="accept it with --accept-fee"
            )
            refuse("fee-notice", problem)
            return []
        if not prompts.confirm(f"The first deployment of {name} costs {amount} once. Deploy it?"):
            raise WrapperError(
                f"{name} was not deployed: the fee was not accepted", next_step="run --deploy again to accept it"
            )
    output.report(f"the first deployment of {name} costs {amount} once: accepted")
    return ["--accept-fee"]


def report_deployment(after: ChuteInfo, before: ChuteInfo | None, host: str, options: UploadOptions) -> None:
    """Print the deployed chute, whose URL is ``host``, and whether it is another version than ``before``."""
    is_same = before is not None and before.version == after.version
    if options.as_json:
        payload = {
            "chute_id": after.chute_id,
            "name": after.name,
            "version": after.version,
            "url": host,
            "changed": not is_same,
        }
        output.print_json(payload)
    if is_same:
        output.success(f"this version of {after.name} is deployed already: {after.version}")
    else:
        output.success(f"{after.name} is deployed with {len(after.cords)} cords, version {after.version}")
    output.report(f"URL: {host}")
    output.report(f"Next: {NAMES.deploy} --warmup {after.name}")
