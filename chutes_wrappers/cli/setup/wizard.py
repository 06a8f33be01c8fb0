"""``./setup.sh --account``: the questions of the account's set-up, and the flags that replace them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import get_args

import click

from chutes_wrappers.cli import output, prompts
from chutes_wrappers.cli.overruled_report import report_overruled
from chutes_wrappers.cli.setup.account_setup import (
    link_account,
    make_wallet,
    register_account,
    use_config_file,
)
from chutes_wrappers.cli.setup.key_setup import set_up_key
from chutes_wrappers.cli.verbs.declarations import allow
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.account import registration, wallets
from chutes_wrappers.host.account.api_key import KEY_VARIABLE, check_key, get_key_path, read_api_key
from chutes_wrappers.host.account.credentials import read_account
from chutes_wrappers.host.account.key_access import INVOKE_POWER, KeyKind
from chutes_wrappers.host.account.wallets import Hotkey


def _check_kind(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    kinds = get_args(KeyKind)
    if value is None or value in kinds:
        return value
    # Without the value, which may be an API key.
    raise click.BadParameter(
        f"the value is not one of {', '.join(kinds)}; it is the kind of the key, not a key or a name"
    )


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--register", metavar="USERNAME", help="Register a new account with this name.")
@click.option(
    "--link", is_flag=True, help=f"Use the account whose admin API key is in {KEY_VARIABLE}, or ~/.chutes/api_key."
)
@click.option("--config", metavar="FILE", help="Use an existing configuration file.")
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
@click.option("--yes", is_flag=True, help="Replace an existing API key without a question.")
@click.option("--debug", is_flag=True, help="Print the traceback of an internal error.")
@allow
@click.pass_context
def wizard(
    context: click.Context,
    register: str | None,
    link: bool,
    config: str | None,
    wallet: str | None,
    key: KeyKind | None,
    yes: bool,
    debug: bool,
    allow: tuple[str, ...],
) -> None:
    """Set up the Chutes account; without a flag, ask.

    If the platform requires a registration token, it comes from CHUTES_REGISTRATION_TOKEN or from a prompt.
    """
    if sum((register is not None, link, config is not None)) > 1:
        raise click.UsageError("--register, --link and --config cannot be used together: use one of them")
    if yes and not (register is not None or link or config is not None or key):
        raise click.UsageError("--yes asks no questions: give --register USERNAME, --link, --config FILE or --key")
    if wallet is not None and register is None and not link:
        raise click.UsageError("--wallet can only be used with --register or --link")

    def run() -> int:
        if config is not None:
            use_config_file(Path(config))
        elif register is not None:
            _register_from_flags(registration.check_username(register), wallet)
        elif link:
            _link_from_flags(wallet)
        elif key is None:
            return _run_questions()
        return 0 if key is None or set_up_key(key, is_confirmed=yes, is_linked=link) else 1

    with report_overruled(allow):
        code = output.run(run, debug=debug)
    context.exit(code)


def _run_questions() -> int:
    if not prompts.is_possible():
        raise ConfigurationError(
            "there is no terminal for questions",
            next_step="give --register USERNAME, --link or --config FILE; see --help",
        )
    has_account = _show_wallets_and_account()
    try:
        if not has_account or prompts.ask_yes_no("Set up another account?"):
            _set_up_until_done()
    except (prompts.Quit, prompts.Back):
        output.show(
            f"{'the account is unchanged' if has_account else 'no account yet'}; run {NAMES.account} to continue"
        )
        return 0
    with contextlib.suppress(prompts.Quit, prompts.Back):
        _offer_key()
    return 0


def _set_up_until_done() -> None:
    """Ask until an account is set up; raises Quit."""
    while True:
        with contextlib.suppress(prompts.Back):
            try:
                if _set_up_account(_ask_choice()):
                    return
            except WrapperError as failure:
                output.error(failure)


def _ask_choice() -> str:
    output.show("  1) register a new account")
    output.show("  2) use an account that has a website login, by its admin API key")
    output.show("  3) use a configuration file")
    return prompts.ask_text("What to do (b goes back, q quits)", "1")


def _set_up_account(choice: str) -> bool:
    """Set up an account in the chosen way; return False for an unknown choice."""
    if choice == "1":
        name = registration.check_username(prompts.ask_text("Username (3 to 15 letters, digits, _ or -)", None))
        register_account(name, _ask_hotkey(may_be_new=True))
    elif choice == "2":
        hotkey = _ask_hotkey(may_be_new=False)
        link_account(
            hotkey,
            check_key(prompts.ask_text("Admin API key (it is not shown)", None, hidden=True), where="the answer"),
        )
    elif choice == "3":
        use_config_file(Path(prompts.ask_text("File", None)))
    else:
        output.warning(f"unknown choice {choice!r}: expected 1, 2, 3 or q")
        return False
    return True


def _show_wallets_and_account() -> bool:
    """Print the existing wallets and the account, and return whether there is an account."""
    hotkeys = ", ".join(f"{wallet}/{hotkey}" for wallet, hotkey in wallets.find_hotkeys(wallets.get_wallets_folder()))
    output.show(f"  wallets   {hotkeys or f'none in {wallets.get_wallets_folder()}'}")
    try:
        credentials = read_account()
    except ConfigurationError as error:
        output.show(f"  account   {error.what} ({error.where})")
        return False
    output.show(f"  account   {credentials.username}, in {credentials.file}")
    return True


def _register_from_flags(username: str, wallet: str | None) -> None:
    hotkey = _find_hotkey(wallet)
    try:
        register_account(username, hotkey)
    except WrapperError as failure:
        if wallet == "new":
            hint = f"the new wallet is kept: use it with --wallet {hotkey.wallet}/{hotkey.name}"
            failure.next_step = "; ".join(filter(None, (failure.next_step, hint)))
        raise


def _find_hotkey(wallet_argument: str | None) -> Hotkey:
    """Return the hotkey of ``--wallet``; without the flag, the only existing one."""
    folder = wallets.get_wallets_folder()
    if wallet_argument == "new":
        return make_wallet()
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


def _ask_hotkey(*, may_be_new: bool) -> Hotkey:
    folder = wallets.get_wallets_folder()
    hotkeys = wallets.find_hotkeys(folder)
    if not hotkeys and not may_be_new:
        raise ConfigurationError(
            f"no wallet is in {folder}", next_step="copy the wallet of the account's registration to it"
        )
    for number, (wallet, hotkey) in enumerate(hotkeys, start=1):
        output.show(f"  {number}) {wallet}/{hotkey}")
    if may_be_new:
        output.show("  n) create a new wallet")
    while True:
        choice = prompts.ask_text("Sign with", "1" if hotkeys else "n").lower()
        if choice == "n" and may_be_new:
            return make_wallet()
        if choice.isdecimal() and 1 <= int(choice) <= len(hotkeys):
            return wallets.read_hotkey(folder, *hotkeys[int(choice) - 1])
        output.warning(f"unknown choice {choice!r}: expected one of the numbers{' or n' if may_be_new else ''}")


def _link_from_flags(wallet: str | None) -> None:
    if wallet == "new":
        raise ConfigurationError(
            "an existing account already has a hotkey", where="--wallet", next_step="name the wallet with this hotkey"
        )
    if (key := read_api_key()) is None:
        raise ConfigurationError(
            "no API key found",
            where=f"{KEY_VARIABLE}, {get_key_path()}",
            next_step=f"put {registration.ADMIN_KEY_OF_WEBSITE}, into either",
        )
    link_account(_find_hotkey(wallet), key)


def _offer_key() -> None:
    question = f"Make an API key for --call and --forward, which {INVOKE_POWER}?"
    if read_api_key() is not None or prompts.ask_yes_no(question, default=True):
        set_up_key("invoke", is_confirmed=False)


def main() -> None:
    """Run the wizard and end the process; ``setup.sh --account`` calls this."""
    wizard(prog_name=NAMES.account)


if __name__ == "__main__":
    main()
