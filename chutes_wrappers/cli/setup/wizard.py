"""``./setup.sh --account``: the flags that replace the questions of the account's set-up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import get_args

import click

from chutes_wrappers.cli import output, prompts
from chutes_wrappers.cli.overruled_report import report_overruled
from chutes_wrappers.cli.setup import account_setup, flag_setup
from chutes_wrappers.cli.setup.account_setup import AccountSummary
from chutes_wrappers.cli.setup.key_setup import set_up_key
from chutes_wrappers.cli.setup.questions import run_questions
from chutes_wrappers.cli.verbs.declarations import allow
from chutes_wrappers.core.platform_rules import REGISTRATION_DEPOSIT_TAO
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.core.setup_secrets import SEED_VARIABLE
from chutes_wrappers.host.account.api_key import KEY_VARIABLE, get_key_source
from chutes_wrappers.host.account.credentials import read_account
from chutes_wrappers.host.account.key_access import INVOKE_POWER, KeyKind


def _check_kind(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    kinds = get_args(KeyKind)
    if value is None or value in kinds:
        return value
    # Without the value, which may be an API key.
    raise click.BadParameter(
        f"the value is not one of {', '.join(kinds)}; it is the kind of the key, not a key or a name"
    )


@click.command(context_settings={"help_option_names": ["-h", "--help"], "allow_extra_args": True})
@click.option(
    "--fingerprint",
    is_flag=True,
    help="Use your account of the website. Its fingerprint is read from a prompt or standard input, and gives the account the "
    "hotkey of --wallet.",
)
@click.option(
    "--register",
    metavar="USERNAME",
    help=f"Register a new account with this name; needs {REGISTRATION_DEPOSIT_TAO:g} TAO that are free on the wallet's coldkey.",
)
@click.option(
    "--link", is_flag=True, help=f"Use the account whose admin API key is in {KEY_VARIABLE}, or ~/.chutes/api_key."
)
@click.option("--config", metavar="FILE", help="Use an existing configuration file; `-` reads it from standard input.")
@click.option(
    "--from-env",
    is_flag=True,
    help=f"Use the account whose hotkey's seed is in {SEED_VARIABLE}. Optional: CHUTES_USERNAME, CHUTES_USER_ID, "
    "CHUTES_HOTKEY_NAME, CHUTES_API_URL.",
)
@click.option(
    "--wallet", metavar="NAME/HOTKEY", help="Sign with this hotkey of ~/.bittensor/wallets; `new` creates one."
)
@click.option(
    "--key",
    is_flag=False,
    flag_value="invoke",
    callback=_check_kind,
    metavar="[admin]",
    help=f"Also create an API key for --call and --forward, which {INVOKE_POWER}; alone: for the existing account. "
    "`--key admin`: one that may do everything that the account may do. An existing key that differs is replaced.",
)
@click.option("--yes", is_flag=True, help="Replace an existing API key, or the account's hotkey, without a question.")
@click.option("--json", "as_json", is_flag=True, help="Print the account as JSON, without secrets.")
@click.option("--debug", is_flag=True, help="Print the traceback of an internal error.")
@allow
@click.pass_context
def wizard(
    context: click.Context,
    fingerprint: bool,
    register: str | None,
    link: bool,
    config: str | None,
    from_env: bool,
    wallet: str | None,
    key: KeyKind | None,
    yes: bool,
    as_json: bool,
    debug: bool,
    allow: tuple[str, ...],
) -> None:
    """Set up the Chutes account; without a flag, ask.

    If the platform requires a registration token, it comes from CHUTES_REGISTRATION_TOKEN or from a prompt.
    """
    if context.args:
        # Without the values, which may be secrets.
        raise click.UsageError("unexpected argument. A fingerprint is read from a prompt or standard input only")
    ways: dict[str, Callable[[], AccountSummary | None] | None] = {
        "--fingerprint": (lambda: flag_setup.link_website_account(wallet, is_confirmed=yes)) if fingerprint else None,
        "--register": None if register is None else lambda: flag_setup.register(register, wallet),
        "--link": (lambda: flag_setup.link_by_key(wallet)) if link else None,
        "--config": None if config is None else lambda: account_setup.use_config_file(Path(config)),
        "--from-env": account_setup.use_variables if from_env else None,
    }
    chosen = [flag for flag, set_up in ways.items() if set_up is not None]
    _check_combination(chosen, [*ways], wallet=wallet, key=key, questions={"--yes": yes, "--json": as_json})

    def run() -> int:
        if not chosen and key is None:
            return run_questions()
        set_up = ways[chosen[0]] if chosen else None
        summary = _set_up(set_up) if set_up is not None else None
        if set_up is not None and summary is None:
            return 1
        if key is not None and not set_up_key(key, is_confirmed=yes, is_linked=link):
            return 1
        if as_json:
            _print_json(summary, key)
        return 0

    with report_overruled(allow):
        code = output.run(run, debug=debug)
    context.exit(code)


def _check_combination(
    chosen: Sequence[str],
    ways: Sequence[str],
    *,
    wallet: str | None,
    key: KeyKind | None,
    questions: Mapping[str, bool],
) -> None:
    """Raise UsageError for flags that do not belong together; ``questions`` are those that need another flag."""
    if len(chosen) > 1:
        raise click.UsageError(f"{' and '.join(chosen)} cannot be used together: use one of them")
    for flag, is_given in questions.items():
        if is_given and not chosen and key is None:
            raise click.UsageError(f"{flag} asks no questions: give {', '.join(ways)} or --key")
    if wallet is not None and not {"--fingerprint", "--register", "--link"}.intersection(chosen):
        raise click.UsageError("--wallet can only be used with --fingerprint, --register or --link")


def _set_up(action: Callable[[], AccountSummary | None]) -> AccountSummary | None:
    """Return the account that ``action`` sets up; None if the user does not want that."""
    try:
        return action()
    except (prompts.Quit, prompts.Back):
        output.report("the account is unchanged")
        return None


def _print_json(summary: AccountSummary | None, key: KeyKind | None) -> None:
    if summary is not None:
        data = summary.to_data()
    else:
        account = read_account()
        data = {
            "username": account.username,
            "user_id": account.user_id,
            "hotkey": account.address,
            "file": str(account.file),
        }
    output.print_json({**data, **({"api_key": {"kind": key, "source": get_key_source()}} if key else {})}, indent=2)


def main() -> None:
    """Run the wizard and end the process; ``setup.sh --account`` calls this."""
    wizard(prog_name=NAMES.account)


if __name__ == "__main__":
    main()
