"""Commands that change or delete objects of the platform."""

from __future__ import annotations

import click

from chutes_wrappers.cli.verbs.declarations import Operand, Question, as_json, chute, flag, operand
from chutes_wrappers.cli.verbs.values import ChuteName
from chutes_wrappers.cli.verbs.verb import Common, Group, verb


@verb(title="Share", number=18)
@chute
@operand("user", "USER", ask="With which user")
@as_json
def share(name: str, user: str, as_json: bool) -> int:
    """Let another user see and call a chute."""
    from chutes_wrappers.cli.commands import sharing

    return sharing.share(name, user, as_json=as_json)


@verb(title="Set a secret", number=19)
@operand("name", "CHUTE", ChuteName())
@operand("key", "KEY", ask="Variable")
@as_json
@click.pass_obj
def secret(common: Common, name: str, key: str, as_json: bool) -> int:
    """Set a chute's variable from standard input, before --warmup."""
    from chutes_wrappers.cli.commands.sharing import set_secret

    return set_secret(name, key, yes=common.yes, as_json=as_json)


@verb(title="Disable", number=25)
@chute
@as_json
@click.pass_obj
def disable(common: Common, name: str, as_json: bool) -> int:
    """Close a chute: its instances and its bill end."""
    from chutes_wrappers.cli.commands.availability import disable_chute

    return disable_chute(name, yes=common.yes, as_json=as_json)


@verb(title="Enable", number=26)
@chute
@as_json
def enable(name: str, as_json: bool) -> int:
    """Open a disabled chute again."""
    from chutes_wrappers.cli.commands.availability import enable_chute

    return enable_chute(name, as_json=as_json)


@verb(
    title="Change settings",
    number=27,
    detail="Fields: tagline, readme, tool_description, logo_id, max_instances, scaling_threshold. A text may be @FILE.",
)
@chute
@click.argument(
    "changes",
    cls=Operand,
    metavar="FIELD=VALUE ...",
    nargs=-1,
    required=True,
    question=Question(text="Which field (such as max_instances=2)", default=None),
)
@as_json
def set(name: str, changes: tuple[str, ...], as_json: bool) -> int:
    """Change fields of a deployed chute, without a new version."""
    from chutes_wrappers.cli.commands.chute_settings import change_settings

    return change_settings(name, changes, as_json=as_json)


@verb(title="Roll back", number=28)
@chute
@flag("--to VERSION", default="", help="select a kept version by its start [the previous one].")
@as_json
@click.pass_obj
def rollback(common: Common, name: str, to: str, as_json: bool) -> int:
    """Deploy the previous version again, as this machine kept it."""
    from chutes_wrappers.cli.commands.rollback import roll_back
    from chutes_wrappers.cli.sdk_upload import UploadOptions

    return roll_back(name, to, UploadOptions(debug=common.debug, as_json=as_json, yes=common.yes))


@verb(title="Delete chute", number=8)
@chute
@as_json
@click.pass_obj
def delete(common: Common, name: str, as_json: bool) -> int:
    """Delete a chute, after you type its name."""
    from chutes_wrappers.cli.commands.deletion import delete_chute

    return delete_chute(name, yes=common.yes, as_json=as_json)


@verb(title="Delete image", number=20)
@operand("image", "NAME:TAG", ask="Image (name:tag)")
@as_json
@click.pass_obj
def delete_image(common: Common, image: str, as_json: bool) -> int:
    """Delete an image that no chute uses."""
    from chutes_wrappers.cli.commands import deletion

    return deletion.delete_image(image, yes=common.yes, as_json=as_json)


GROUP = Group(
    name="change",
    title="Change what is deployed",
    verbs=(set, rollback, disable, enable, share, secret, delete, delete_image),
    examples=(
        ("./deploy.sh --set ocr max_instances=2", "allow a second instance"),
        ("./deploy.sh --rollback ocr --yes", "deploy the previous version"),
        ("./deploy.sh --disable ocr --yes", "end its instances and its bill"),
        ("./deploy.sh --secret ocr HF_TOKEN < token", "set a variable"),
    ),
)
