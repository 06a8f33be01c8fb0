"""The account: registered, linked or taken over, and written down for the SDK. Seeds, keys and tokens are never shown."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from chutes_wrappers.cli import asking, output
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.manifest import write_atomically
from chutes_wrappers.host import registration, wallets
from chutes_wrappers.host.account_file import check_writable, keep, text
from chutes_wrappers.host.api_keys import KEY_VARIABLE, api_key, checked, key_file, required_key
from chutes_wrappers.host.credentials import account, account_in
from chutes_wrappers.host.platform_api import api_url
from chutes_wrappers.host.platform_objects import plain
from chutes_wrappers.host.wallets import Hotkey
from chutes_wrappers.sdk.account import config_file

TOKEN_VARIABLE = "CHUTES_REGISTRATION_TOKEN"
_OWNERS = 0o600


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--register", metavar="USERNAME", help="Register a new account of this name.")
@click.option("--link", is_flag=True, help=f"Use the account whose API key is in {KEY_VARIABLE}, or ~/.chutes/api_key.")
@click.option("--config", metavar="FILE", help="Take a configuration file that is there already.")
@click.option("--wallet", metavar="NAME/HOTKEY", help="Sign with this hotkey of ~/.bittensor/wallets; `new` makes one.")
@click.option(
    "--key", is_flag=True, help="Also make an API key, for --call and --forward; alone: for the account there is."
)
@click.pass_context
def wizard(
    context: click.Context, register: str | None, link: bool, config: str | None, wallet: str | None, key: bool
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
            _take(Path(config))
        elif register is not None:
            _register_by_flags(registration.check_username(register), wallet)
        elif link:
            _link_by_flags(wallet)
        elif not key:
            return _ask()
        if key:
            _make_key()
        return 0

    context.exit(output.run(run))


def _ask() -> int:
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "there is no terminal to ask on", next_step="give --register USERNAME, --link or --config FILE; see --help"
        )
    has_failed = False
    try:
        if _show_what_is_there() and not asking.yes("Set another account up?"):
            _offer_key()
            return 0
        while True:
            try:
                if _set_up(_choice()):
                    _offer_key()
                    return 0
            except asking.Back:
                continue
            except WrapperError as failure:
                output.error(failure)
                has_failed = True
    except (asking.Quit, asking.Back):
        output.say("the account stays as it is; ./setup.sh --account asks again")
    return 1 if has_failed else 0


def _choice() -> str:
    output.say("  1) register a new account\n  2) use an account that has a website login, by its API key")
    output.say("  3) take a configuration file")
    return asking.text("What to do (b goes back, q quits)", "1")


def _set_up(choice: str) -> bool:
    """Do what was chosen, and say whether that was anything."""
    if choice == "1":
        name = registration.check_username(asking.text("Username (3 to 15 letters, digits or _)", None))
        _register(name, _chosen_hotkey(may_be_new=True))
    elif choice == "2":
        hotkey = _chosen_hotkey(may_be_new=False)
        _link(hotkey, checked(asking.text("API key (it is not shown)", None, hidden=True), where="the answer"))
    elif choice == "3":
        _take(Path(asking.text("File", None)))
    else:
        output.warning(f"{choice!r} is none of 1, 2, 3 and q")
        return False
    return True


def _show_what_is_there() -> bool:
    """Say what there is of an account, of wallets and of a key; whether there is an account."""
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
        _register(username, hotkey)
    except WrapperError as failure:
        if wallet == "new":
            stays = f"the new wallet stays: --wallet {hotkey.wallet}/{hotkey.name} signs with it"
            failure.next_step = "; ".join(filter(None, (failure.next_step, stays)))
        raise


def _named(given: str | None) -> Hotkey:
    """The hotkey of ``--wallet``; the only one that there is without it."""
    folder = wallets.wallets_folder()
    if given == "new":
        return _new()
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
        choice = asking.text("Sign with", "1" if known else "n").lower()
        if choice == "n" and may_be_new:
            return _new()
        if choice.isdecimal() and 1 <= int(choice) <= len(known):
            return wallets.read(folder, *known[int(choice) - 1])
        output.warning(f"{choice!r} is no number of these{', and not n' if may_be_new else ''}")


def _new() -> Hotkey:
    check_writable(config_file())
    registration.check_reachable(_url())
    made = wallets.make(wallets.wallets_folder())
    place = wallets.wallets_folder() / made.wallet
    output.success(f"a new wallet is in {place}")
    output.warning("its files are not encrypted, and whoever has them has the account: keep a copy in a safe place")
    return made


def _url() -> str:
    """The API that a new account is for; a configuration that cannot be read does not tell it, and is replaced."""
    try:
        return api_url()
    except ConfigurationError:
        return api_url("")


def _register(username: str, hotkey: Hotkey) -> None:
    path, url = config_file(), _url()
    login = path.with_name(f"fingerprint-{username}")
    check_writable(path, login)
    token = _token() if registration.needs_token(url) else ""
    output.report(f"registering {username} at {url}")
    made = registration.register(url, username, hotkey, token)
    if made.fingerprint:  # first: it is told this once
        write_atomically(login, made.fingerprint + "\n", mode=_OWNERS)
        output.warning(f"{login} logs in on the website, and cannot be asked for again: keep a copy, show it to nobody")
    _keep(text(made.account))
    _say_known(registration.known_account(url, hotkey.seed, made.account.user_id))


def _token() -> str:
    if token := os.environ.get(TOKEN_VARIABLE, "").strip():
        return token
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "the platform wants a registration token",
            next_step=f"get one at {registration.TOKEN_PAGE}, and set {TOKEN_VARIABLE}",
        )
    output.say(f"The platform wants a token against automatic registrations. Get one at\n  {registration.TOKEN_PAGE}")
    return asking.text("Token (it is not shown)", None, hidden=True)


def _link_by_flags(wallet: str | None) -> None:
    if wallet == "new":
        raise ConfigurationError(
            "an account that is there has a hotkey already", where="--wallet", next_step="name the wallet that has it"
        )
    key = required_key()
    _link(_named(wallet), key)


def _link(hotkey: Hotkey, key: str) -> None:
    url = _url()
    made = registration.link(url, key, hotkey)
    told = registration.known_account(url, hotkey.seed, made.user_id)
    _keep(text(made))
    _say_known(told)


def _take(given: Path) -> None:
    source, target = given.expanduser(), config_file()
    try:
        is_in_use = source.samefile(target) if target.exists() else False
        content = source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigurationError(
            f"the file cannot be read: {why}", where=str(source), next_step="name another"
        ) from None
    if is_in_use:
        raise ConfigurationError("this is the file that is in use already", where=str(source), next_step="name another")
    own = account_in(content, source)
    told = registration.known_account(api_url(content), own.seed, own.user_id)
    _keep(content)
    _say_known(told)


def _keep(content: str) -> None:
    path = config_file()
    if (older := keep(path, content)) is not None:
        output.report(f"what was there is kept as {older}")
    output.success(f"{path}: written")


def _say_known(told: Mapping[str, Any]) -> None:
    balance = told.get("balance")
    shown = f", balance ${balance:,.2f}" if isinstance(balance, int | float) else ""
    output.success(f"the platform knows this account as {plain(told.get('username'))}{shown}")
    output.report(f"pay in to {plain(told.get('payment_address'))}; next: ./deploy.sh")


def _offer_key() -> None:
    if api_key() is None and asking.yes("Make an API key, for --call and --forward?", default=True):
        _make_key()


def _make_key() -> None:
    """Make one for the account that there is, and keep it where --call and --forward look for it."""
    path = key_file()
    if api_key() is not None:
        output.report(f"an API key is in {KEY_VARIABLE} or {path} already; it is left alone")
        return
    check_writable(path)
    write_atomically(path, registration.make_key(api_url(), account()) + "\n", mode=_OWNERS)
    output.success(f"{path}: an API key, which --call and --forward take from there")


if __name__ == "__main__":
    wizard(prog_name="./setup.sh --account")
