"""Names, texts and numbers of a chute that the platform would reject. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from chutes_wrappers.host.modules.name_checks import USERNAME_SOURCE
from chutes_wrappers.host.preflight.problem import Problem

# What an argument must be, for those without a range or a length.
_FLAG, _TEXT, _PRICE = (
    "True or False",
    "a text, or None",
    f"a number above 0 and below {platform_rules.MAX_HOURLY_PRICE:g}",
)
_FORMS = {
    **dict.fromkeys(("tee", "allow_external_egress", "encrypted_fs"), _FLAG),
    "lock_modules": f"{_FLAG}, or None",
    **dict.fromkeys(("standard_template", "revision"), _TEXT),
    "max_hourly_price_per_gpu": f"{_PRICE}, or None",
}
_CHUTE_FIELDS = (*platform_rules.MAX_TEXT_LENGTHS, *platform_rules.CHUTE_RANGES, *_FORMS)


def find_setting_problems(facts: ModuleFacts, described: Mapping[str, Any], username: str) -> Iterator[Problem]:
    """Yield the problems of the arguments of ``Chute(…)`` and of its image, and of the account's name."""
    file = str(facts.path)
    yield from _find_name_problems(facts, described, username)
    yield from _find_owner_problems(described, username, file)
    where = f"{file}, Chute(…)"
    yield from find_field_problems(described, _CHUTE_FIELDS, where)
    yield from _find_computing_problems(described, where)


def _find_owner_problems(described: Mapping[str, Any], username: str, file: str) -> Iterator[Problem]:
    """Yield a problem for an image or chute of another user than the account, which the platform would not find.

    The SDK computes their ids from the module's USERNAME, and the API from the account (SDK image/__init__.py, chute/base.py;
    section 5). Ids of images ignore case.
    """
    owner, chute_id, name = described["image"].get("username"), described.get("chute_id"), str(described["name"])
    is_image_foreign = owner is not None and owner != username
    is_chute_foreign = chute_id is not None and chute_id != platform_checks.compute_chute_id(username, name)
    is_of_owner = owner is not None and chute_id == platform_checks.compute_chute_id(owner, name)
    faults = []
    if is_image_foreign:
        faults.append(f"the image{' and the chute' if is_of_owner else ''} would belong to {owner[:40]!r}")
    if is_chute_foreign and not (is_image_foreign and is_of_owner):
        faults.append(f"the chute would belong to {repr(owner[:40]) if is_of_owner else 'another user'}")
    if faults:
        is_refused = is_image_foreign and owner.lower() != username.lower()
        effect = "the platform would refuse the image, or not find it at the deployment"
        yield Problem(
            rule="username",
            what=f"{' and '.join(faults)}, and the account is {username!r}: "
            + (effect if is_refused else "the SDK computes another id than the platform"),
            where=f"{file}, USERNAME",
            fix=f"write USERNAME = chutes_username(), or USERNAME = {username!r}, and pass it to the image and to Chute(…)",
            severity="rejected" if is_refused else "warning",
            only_on_platform=True,
        )


def find_field_problems(
    values: Mapping[str, Any], fields: Iterable[str], where: str, *, only_on_platform: bool = False
) -> Iterator[Problem]:
    """Yield a problem for each of the ``fields`` of a deployment whose value in ``values`` the API rejects with 422."""
    for name in fields:
        rule = platform_checks.find_setting_rule(name, values[name]) if name in values else None
        if rule is not None:
            form = _format_form(name)
            yield Problem(
                rule=rule,
                what=f"{name} {_format_value(values[name])}, not {form}",
                where=where,
                fix=f"set {name} to {form}",
                only_on_platform=only_on_platform,
            )


def _find_name_problems(facts: ModuleFacts, described: Mapping[str, Any], username: str) -> Iterator[Problem]:
    file, name, image = str(facts.path), str(described["name"]), described["image"]
    source = _format_source("CHUTE_NAME", facts.chute_name, "chute name", name)
    valid_form = platform_checks.find_chute_name_problem(name)
    for rule in platform_checks.list_chute_name_rules(name):
        yield from _find_name_problem(rule, source, name, valid_form, file)
    yield from _find_name_problem(
        "username", "the username", username, platform_checks.find_username_problem(username), USERNAME_SOURCE
    )
    if not image["tag"]:  # only a reference to an image that the platform has already
        return
    for rule, variable, variable_value, part, length in (
        ("image-name", "CHUTE_NAME", facts.chute_name, "name", platform_rules.IMAGE_NAME_LENGTH),
        ("image-tag", "CHUTE_TAG", facts.chute_tag, "tag", platform_rules.IMAGE_TAG_LENGTH),
    ):
        value = image[part]
        source = _format_source(variable, variable_value, f"image {part}", value)
        yield from _find_name_problem(rule, source, value, platform_checks.find_image_name_problem(value, length), file)


def _find_name_problem(rule: str, source: str, value: str, valid_form: str | None, where: str) -> Iterator[Problem]:
    if valid_form is not None:
        yield Problem(
            rule=rule,
            what=f"the platform does not accept {source}: {value[:200]!r}",
            where=where,
            fix=f"use {valid_form}",
        )


def _format_source(variable: str, variable_value: str, kind: str, value: str) -> str:
    # A module may pass another value than that of its variable.
    return f"{variable} as the {kind}" if value == variable_value else f"the {kind}"


def _format_form(name: str) -> str:
    if name in platform_rules.MAX_TEXT_LENGTHS:
        return f"a text of at most {platform_rules.MAX_TEXT_LENGTHS[name]:,} characters"
    if name in _FORMS:
        return _FORMS[name]
    lowest, highest = {**platform_rules.CHUTE_RANGES, **platform_rules.NODE_RANGES}[name]
    kind = "a number" if name in platform_rules.FRACTIONS else "a whole number"
    return f"{kind} from {lowest} to {highest}"


def _format_value(value: Any) -> str:
    return f"has {len(value):,} characters" if isinstance(value, str) and len(value) > 100 else f"is {value!r:.100}"


def _find_computing_problems(described: Mapping[str, Any], where: str) -> Iterator[Problem]:
    """Yield a problem for a number that is a text: the API converts it, but the SDK on the instance computes with it."""
    value = described["concurrency"]
    if isinstance(value, str) and platform_checks.find_setting_rule("concurrency", value) is None:
        yield Problem(
            rule="",
            what=f"concurrency is the text {value!r}: the API accepts it, but the SDK on the instance cannot compute with it",
            where=where,
            fix=f"write concurrency={value.strip()} without quotes",
        )
