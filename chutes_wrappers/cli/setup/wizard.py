"""``./setup.sh --account``: the flags that replace the questions of the account's set-up."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import click

from chutes_wrappers.cli import output, prompts
from chutes_wrappers.cli.overruled_report import report_overruled
from chutes_wrappers.cli.setup import account_setup
from chutes_wrappers.cli.setup.account_setup import AccountSummary
from chutes_wrappers.cli.setup.key_setup import set_up_key
from chutes_wrappers.cli.setup.questions import (
    ask_hotkey,
    ask_until_valid,
    build_token_question,
    complete,
    run_questions,
)
from chutes_wrappers.cli.verbs.declarations import allow
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.account import registration, wallets
from chutes_wrappers.host.account.account_variables import SEED_VARIABLE
from chutes_wrappers.host.account.api_key import KEY_VARIABLE, get_key_path, get_key_source, read_api_key
from chutes_wrappers.host.account.credentials import read_account
from chutes_wrappers.host.account.key_access import INVOKE_POWER, KeyKind
from chutes_wrappers.host.account.wallets import Hotkey
from chutes_wrappers.host.account.website_link import MAX_FINGERPRINT_LENGTH, WebsiteLogin


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
@click.option("--register", metavar="USERNAME", help="Register a new account with this name.")
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
        raise click.UsageError("unexpected argument: no flag has a value there, and a fingerprint is never an argument")
    ways = {
        "--fingerprint": fingerprint,
        "--register": register is not None,
        "--link": link,
        "--config": config is not None,
        "--from-env": from_env,
    }
    chosen = [flag for flag, is_chosen in ways.items() if is_chosen]
    if len(chosen) > 1:
        raise click.UsageError(f"{' and '.join(chosen)} cannot be used together: use one of them")
    for flag, is_given in (("--yes asks no questions", yes), ("--json prints no questions", as_json)):
        if is_given and not chosen and not key:
            raise click.UsageError(f"{flag}: give {', '.join(ways)} or --key")
    if wallet is not None and not (register is not None or link or fingerprint):
        raise click.UsageError("--wallet can only be used with --fingerprint, --register or --link")

    def set_up() -> AccountSummary | None:
        if config is None and not from_env:
            account_setup.warn_of_overridden_api()
        if fingerprint:
            return _link_website_account(wallet, is_confirmed=yes)
        if register is not None:
            return _register_from_flags(registration.check_username(register), wallet)
        if link:
            return _link_from_flags(wallet)
        return account_setup.use_variables() if from_env else account_setup.use_config_file(Path(config or ""))

    def run() -> int:
        if not chosen and key is None:
            return run_questions()
        try:
            summary = set_up() if chosen else None
        except (prompts.Quit, prompts.Back):
            output.report("the account is unchanged")
            return 1
        if chosen and summary is None:
            return 1
        if key is not None and not set_up_key(key, is_confirmed=yes, is_linked=link):
            return 1
        if as_json:
            _print_json(summary, key)
        return 0

    with report_overruled(allow):
        code = output.run(run, debug=debug)
    context.exit(code)


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


def _link_website_account(wallet: str | None, *, is_confirmed: bool) -> AccountSummary | None:
    """Link the account of the fingerprint. Return None if the user does not want it to get another hotkey."""
    if wallet not in (None, "new"):
        _find_hotkey(wallet)  # before the question for the fingerprint
    url = account_setup.find_api_url()
    login = ask_until_valid(lambda: account_setup.log_in(_read_fingerprint(url)))
    wallet = wallet or _choose_wallet(login)
    hotkey = None if wallet == "new" else _find_hotkey(wallet)
    if hotkey is None or hotkey.address != login.hotkey:
        name = "of a new wallet" if hotkey is None else f"{hotkey.wallet}/{hotkey.name}"
        if not account_setup.confirm_hotkey(login, name, is_confirmed=is_confirmed):
            return None
    return _keep_new_wallet(wallet, lambda found: account_setup.link_website_account(login, found))


def _choose_wallet(login: WebsiteLogin) -> str:
    """Return the value of ``--wallet`` when it is not given: the account's own hotkey, the only one, or "new" without any."""
    folder = wallets.get_wallets_folder()
    names = wallets.find_hotkeys(folder)
    for name in names:
        with contextlib.suppress(ConfigurationError):
            if wallets.read_hotkey(folder, *name).address == login.hotkey:
                return "/".join(name)
    if len(names) > 1 and prompts.is_possible():
        hotkey = ask_hotkey()
        return f"{hotkey.wallet}/{hotkey.name}"
    if not names:
        return "new"
    only = _find_hotkey(None)
    return f"{only.wallet}/{only.name}"


def _read_fingerprint(url: str) -> str:
    """Return the fingerprint from a prompt, else from standard input. No error contains it."""
    if prompts.is_possible():
        output.show(f"The fingerprint is the login of the website. It is sent to {url} only.")
        return prompts.ask_text("Fingerprint (it is not shown)", None, hidden=True)
    data = account_setup.read_standard_input(4 * MAX_FINGERPRINT_LENGTH)
    text = data.decode(errors="replace").strip()
    if not text:
        raise ConfigurationError(
            "no fingerprint is on standard input",
            where="--fingerprint",
            next_step="redirect a file that only you can read: --fingerprint < FILE. At a terminal, a prompt reads it",
        )
    return text


def _keep_new_wallet(wallet: str | None, action: Callable[[Hotkey], AccountSummary]) -> AccountSummary:
    """Run ``action`` with the hotkey of ``--wallet``. A failure names the wallet that was created for it."""
    hotkey = _find_hotkey(wallet)
    try:
        return action(hotkey)
    except WrapperError as failure:
        if wallet == "new":
            hint = f"the new wallet is kept: use it with --wallet {hotkey.wallet}/{hotkey.name}"
            failure.next_step = "; ".join(filter(None, (failure.next_step, hint)))
        raise


def _register_from_flags(username: str, wallet: str | None) -> AccountSummary:
    url = account_setup.find_api_url()
    account_setup.report_needs(url)
    if not prompts.is_possible():
        account_setup.find_token(url)  # before a wallet is created

    def register(hotkey: Hotkey) -> AccountSummary:
        return complete(
            {"token": build_token_question(url)},
            lambda token: account_setup.register_account(username, hotkey, token),
            registration.find_refused_reply,
        )

    return _keep_new_wallet(wallet, register)


def _find_hotkey(wallet_argument: str | None) -> Hotkey:
    """Return the hotkey of ``--wallet``; without the flag, the only existing one."""
    folder = wallets.get_wallets_folder()
    if wallet_argument == "new":
        return account_setup.make_wallet()
    if wallet_argument is not None:
        name, _, hotkey = wallet_argument.partition("/")
        return wallets.read_hotkey(folder, name, hotkey or wallets.NEW_HOTKEY)
    hotkeys = wallets.find_hotkeys(folder)
    if len(hotkeys) == 1:
        return wallets.read_hotkey(folder, *hotkeys[0])
    names = [f"{wallet}/{hotkey}" for wallet, hotkey in hotkeys]
    raise ConfigurationError(
        f"there are {len(hotkeys)} hotkeys in {folder}",
        where="--wallet",
        next_step=f"use one of: {', '.join(names)}" if names else "use --wallet new to create one",
    )


def _link_from_flags(wallet: str | None) -> AccountSummary:
    if wallet == "new":
        raise ConfigurationError(
            "an existing account already has a hotkey",
            where="--wallet",
            next_step="name the wallet with this hotkey, or use --fingerprint, which gives the account a new one",
        )
    if (key := read_api_key()) is None:
        raise ConfigurationError(
            "no API key found",
            where=f"{KEY_VARIABLE}, {get_key_path()}",
            next_step=f"put {registration.ADMIN_KEY_OF_WEBSITE}, into either",
        )
    return account_setup.link_account(_find_hotkey(wallet), key)


def main() -> None:
    """Run the wizard and end the process; ``setup.sh --account`` calls this."""
    wizard(prog_name=NAMES.account)


if __name__ == "__main__":
    main()
