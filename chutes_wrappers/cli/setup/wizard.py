"""``./setup.sh --account``: the questions of the account's set-up, and the flags that answer them."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from chutes_wrappers.cli import output, prompts
from chutes_wrappers.cli.setup.account_setup import link_account, make_key, new_wallet, register_account, take_file
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.account import registration, wallets
from chutes_wrappers.host.account.api_key import KEY_VARIABLE, api_key, checked, required_key
from chutes_wrappers.host.account.credentials import account
from chutes_wrappers.host.account.wallets import Hotkey


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--register", metavar="USERNAME", help="Register a new account of this name.")
@click.option("--link", is_flag=True, help=f"Use the account whose API key is in {KEY_VARIABLE}, or ~/.chutes/api_key.")
@click.option("--config", metavar="FILE", help="Take a configuration file that is there already.")
@click.option("--wallet", metavar="NAME/HOTKEY", help="Sign with this hotkey of ~/.bittensor/wallets; `new` makes one.")
@click.option(
    "--key", is_flag=True, help="Also make an API key, for --call and --forward; alone: for the account there is."
)
@click.option("--debug", is_flag=True, help="Show the traceback of a fault.")
@click.pass_context
def wizard(
    context: click.Context,
    register: str | None,
    link: bool,
    config: str | None,
    wallet: str | None,
    key: bool,
    debug: bool,
) -> None:
    """Set the Chutes account up; without a flag it asks.

    A registration token, where the platform wants one, is asked for, or taken from CHUTES_REGISTRATION_TOKEN.
    """
    if sum((register is not None, link, config is not None)) > 1:
        raise click.UsageError("--register, --link and --config: one at a time")
    if wallet is not None and register is None and not link:
        raise click.UsageError("--wallet means something only with --register and --link")

    def run() -> int:
        if config is not None:
            take_file(Path(config))
        elif register is not None:
            _register_by_flags(registration.check_username(register), wallet)
        elif link:
            _link_by_flags(wallet)
        elif not key:
            return _ask()
        if key:
            make_key()
        return 0

    context.exit(output.run(run, debug=debug))


def _ask() -> int:
    if not prompts.is_possible():
        raise ConfigurationError(
            "there is no terminal to ask on", next_step="give --register USERNAME, --link or --config FILE; see --help"
        )
    is_there = _show_what_is_there()
    try:
        if not is_there or prompts.yes("Set another account up?"):
            _set_up_some()
    except (prompts.Quit, prompts.Back):
        output.say(f"{'the account stays as it is' if is_there else 'no account yet'}; {NAMES.account} asks again")
        return 0
    with contextlib.suppress(prompts.Quit, prompts.Back):
        _offer_key()
    return 0


def _set_up_some() -> None:
    """Ask until an account is set up. Raises Quit."""
    while True:
        with contextlib.suppress(prompts.Back):
            try:
                if _set_up(_choice()):
                    return
            except WrapperError as failure:
                output.error(failure)


def _choice() -> str:
    output.say("  1) register a new account\n  2) use an account that has a website login, by its API key")
    output.say("  3) take a configuration file")
    return prompts.text("What to do (b goes back, q quits)", "1")


def _set_up(choice: str) -> bool:
    """Do what was chosen, and say whether that was anything."""
    if choice == "1":
        name = registration.check_username(prompts.text("Username (3 to 15 letters, digits or _)", None))
        register_account(name, _chosen_hotkey(may_be_new=True))
    elif choice == "2":
        hotkey = _chosen_hotkey(may_be_new=False)
        link_account(hotkey, checked(prompts.text("API key (it is not shown)", None, hidden=True), where="the answer"))
    elif choice == "3":
        take_file(Path(prompts.text("File", None)))
    else:
        output.warning(f"{choice!r} is none of 1, 2, 3 and q")
        return False
    return True


def _show_what_is_there() -> bool:
    """Say what there is of wallets and of an account; whether there is an account."""
    known = ", ".join(f"{wallet}/{hotkey}" for wallet, hotkey in wallets.find(wallets.wallets_folder()))
    output.say(f"  wallets   {known or f'none in {wallets.wallets_folder()}'}")
    try:
        own = account()
    except ConfigurationError as wrong:
        output.say(f"  account   {wrong.what} ({wrong.where})")
        return False
    output.say(f"  account   {own.username}, in {own.file}")
    return True


def _register_by_flags(username: str, wallet: str | None) -> None:
    hotkey = _named(wallet)
    try:
        register_account(username, hotkey)
    except WrapperError as failure:
        if wallet == "new":
            stays = f"the new wallet stays: --wallet {hotkey.wallet}/{hotkey.name} signs with it"
            failure.next_step = "; ".join(filter(None, (failure.next_step, stays)))
        raise


def _named(given: str | None) -> Hotkey:
    """The hotkey of ``--wallet``; the only one that there is without it."""
    folder = wallets.wallets_folder()
    if given == "new":
        return new_wallet()
    if given is not None:
        name, _, hotkey = given.partition("/")
        return wallets.read(folder, name, hotkey or wallets.NEW_HOTKEY)
    known = wallets.find(folder)
    if len(known) == 1:
        return wallets.read(folder, *known[0])
    names = [f"{wallet}/{hotkey}" for wallet, hotkey in known]
    raise ConfigurationError(
        f"there are {len(known)} hotkeys in {folder}",
        where="--wallet",
        next_step=f"name one of: {', '.join(names)}" if names else "--wallet new makes one",
    )


def _chosen_hotkey(*, may_be_new: bool) -> Hotkey:
    folder = wallets.wallets_folder()
    known = wallets.find(folder)
    if not known and not may_be_new:
        raise ConfigurationError(
            f"no wallet is in {folder}", next_step="copy the one there that the account was registered with"
        )
    for number, (wallet, hotkey) in enumerate(known, start=1):
        output.say(f"  {number}) {wallet}/{hotkey}")
    if may_be_new:
        output.say("  n) make a new wallet")
    while True:
        choice = prompts.text("Sign with", "1" if known else "n").lower()
        if choice == "n" and may_be_new:
            return new_wallet()
        if choice.isdecimal() and 1 <= int(choice) <= len(known):
            return wallets.read(folder, *known[int(choice) - 1])
        output.warning(f"{choice!r} is no number of these{', and not n' if may_be_new else ''}")


def _link_by_flags(wallet: str | None) -> None:
    if wallet == "new":
        raise ConfigurationError(
            "an account that is there has a hotkey already", where="--wallet", next_step="name the wallet that has it"
        )
    key = required_key()
    link_account(_named(wallet), key)


def _offer_key() -> None:
    if api_key() is not None or prompts.yes("Make an API key, for --call and --forward?", default=True):
        make_key()


def main() -> None:
    """What ``setup.sh --account`` calls; ends the process."""
    wizard(prog_name=NAMES.account)


if __name__ == "__main__":
    main()
