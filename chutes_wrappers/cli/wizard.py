"""The account: registered, linked or taken over, and written down for the SDK. Seeds, keys and tokens are never shown."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from chutes_wrappers.cli import output
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.manifest import write_atomically
from chutes_wrappers.host import platform_api, registration, wallets
from chutes_wrappers.host.account_file import check_writable, keep, text
from chutes_wrappers.host.api_keys import KEY_VARIABLE
from chutes_wrappers.host.credentials import account
from chutes_wrappers.host.platform_objects import plain
from chutes_wrappers.host.wallets import Hotkey
from chutes_wrappers.sdk.account import config_file

TOKEN_VARIABLE = "CHUTES_REGISTRATION_TOKEN"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--register", metavar="USERNAME", help="Register a new account of this name.")
@click.option("--link", is_flag=True, help=f"Use the account whose API key is in {KEY_VARIABLE}.")
@click.option("--config", metavar="FILE", help="Take a configuration file that is there already.")
@click.option("--wallet", metavar="NAME/HOTKEY", help="Sign with this hotkey of ~/.bittensor/wallets; `new` makes one.")
@click.pass_context
def wizard(context: click.Context, register: str | None, link: bool, config: str | None, wallet: str | None) -> None:
    """Set the Chutes account up; without a flag it asks.

    A registration token, where the platform wants one, is asked for, or taken from CHUTES_REGISTRATION_TOKEN.
    """
    if sum((register is not None, link, config is not None)) > 1:
        raise click.UsageError("--register, --link and --config: one at a time")

    def run() -> int:
        if config is not None:
            return _take(Path(config))
        if register is not None:
            return _register(registration.check_username(register), _named(wallet))
        if link:
            return _link_by_key(wallet)
        return _ask()

    context.exit(output.run(run))


def _ask() -> int:
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "there is no terminal to ask on", next_step="give --register USERNAME, --link or --config FILE; see --help"
        )
    if _is_there() and not click.confirm("Set another one up?", default=False, err=True):
        return 0
    while True:
        output.say("  1) register a new account\n  2) use an account that has a website login, by its API key")
        output.say("  3) take a configuration file\n  q) quit")
        choice = click.prompt("What to do", default="1", err=True).strip().lower()
        if choice in ("q", "quit"):
            output.report("nothing is changed; ./setup.sh --account asks again")
            return 0
        try:
            if choice == "1":
                name = click.prompt("Username (3 to 15 letters, digits or _)", err=True).strip()
                return _register(registration.check_username(name), _chosen_hotkey())
            if choice == "2":
                key = click.prompt("API key (it is not shown)", hide_input=True, err=True).strip()
                return _link(_chosen_hotkey(), key)
            if choice == "3":
                return _take(Path(click.prompt("File", err=True).strip()))
            output.warning(f"{choice!r} is none of 1, 2, 3 and q")
        except WrapperError as failure:
            output.error(failure)


def _is_there() -> bool:
    try:
        own = account()
    except ConfigurationError:
        return False
    output.say(f"the account {own.username} is set up in {own.file}")
    return True


def _named(given: str | None) -> Hotkey:
    """The hotkey of ``--wallet``; the only one that there is without it."""
    folder = wallets.wallets_folder()
    if given == "new":
        return _new()
    known = wallets.find(folder)
    if given is not None:
        name, _, hotkey = given.partition("/")
        return wallets.read(folder, name, hotkey or wallets.NEW_HOTKEY)
    if len(known) == 1:
        return wallets.read(folder, *known[0])
    raise ConfigurationError(
        f"there are {len(known)} hotkeys in {folder}",
        where="--wallet",
        next_step=f"name one of: {', '.join(f'{wallet}/{hotkey}' for wallet, hotkey in known) or ''}, or `new`",
    )


def _chosen_hotkey() -> Hotkey:
    folder = wallets.wallets_folder()
    known = wallets.find(folder)
    for number, (wallet, hotkey) in enumerate(known, start=1):
        output.say(f"  {number}) {wallet}/{hotkey}")
    output.say("  n) make a new wallet")
    while True:
        choice = click.prompt("Sign with", default="1" if known else "n", err=True).strip().lower()
        if choice == "n":
            return _new()
        if choice.isdecimal() and 1 <= int(choice) <= len(known):
            return wallets.read(folder, *known[int(choice) - 1])
        output.warning(f"{choice!r} is no number of these, and not n")


def _new() -> Hotkey:
    check_writable(config_file())
    made = wallets.make(wallets.wallets_folder())
    place = wallets.wallets_folder() / made.wallet
    output.success(f"a new wallet is in {place}")
    output.warning("its files are not encrypted, and whoever has them has the account: keep a copy in a safe place")
    return made


def _register(username: str, hotkey: Hotkey) -> int:
    path, url = config_file(), platform_api.api_url()
    check_writable(path)
    token = _token() if registration.needs_token(url) else ""
    made = registration.register(url, username, hotkey, token)
    _keep(text(made.account))
    if made.fingerprint:
        secret = path.with_name(f"fingerprint-{made.account.username}")
        write_atomically(secret, made.fingerprint + "\n", mode=0o600)
        output.warning(
            f"{secret} logs in on the website, and cannot be asked for again: keep a copy, show it to nobody"
        )
    return _verified()


def _token() -> str:
    if token := os.environ.get(TOKEN_VARIABLE, "").strip():
        return token
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "the platform wants a registration token",
            next_step=f"get one at {registration.TOKEN_PAGE}, and set {TOKEN_VARIABLE}",
        )
    output.say(f"The platform wants a token against automatic registrations. Get one at\n  {registration.TOKEN_PAGE}")
    token = click.prompt("Token (it is not shown)", hide_input=True, err=True)
    return str(token).strip()


def _link_by_key(wallet: str | None) -> int:
    key = os.environ.get(KEY_VARIABLE, "")
    if not key:
        raise ConfigurationError("there is no API key", where=KEY_VARIABLE, next_step=f"export {KEY_VARIABLE}=cpk_…")
    if wallet == "new":
        raise ConfigurationError(
            "an account that is there has a hotkey already", where="--wallet", next_step="name the wallet that has it"
        )
    return _link(_named(wallet), key)


def _link(hotkey: Hotkey, key: str) -> int:
    _keep(text(registration.link(platform_api.api_url(), key, hotkey)))
    return _verified()


def _take(source: Path) -> int:
    target = config_file()
    if source.exists() and target.exists() and source.samefile(target):
        raise ConfigurationError("this is the file that is in use already", where=str(source), next_step="name another")
    account(source)
    _keep(source.read_text(encoding="utf-8"))
    return _verified()


def _keep(content: str) -> None:
    path = config_file()
    if (older := keep(path, content)) is not None:
        output.report(f"what was there is kept as {older}")
    output.success(f"{path}: written")


def _verified() -> int:
    """0 once the platform knows who signs; WrapperError otherwise, and the file stays."""
    with platform_api.connect() as api:
        told = api.get("/users/me", "asking for the account", purpose="me")
    balance = told.get("balance")
    shown = f", balance ${balance:,.2f}" if isinstance(balance, int | float) else ""
    output.success(f"the platform knows this account as {plain(told.get('username'))}{shown}")
    output.report(f"pay in to {plain(told.get('payment_address'))}; next: ./deploy.sh")
    return 0


if __name__ == "__main__":
    wizard(prog_name="./setup.sh --account")
