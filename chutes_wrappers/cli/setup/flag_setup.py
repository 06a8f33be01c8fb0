"""Accounts that ``./setup.sh --account`` sets up by flags: no wallet is created, and nothing is sent, for flags that cannot work."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from chutes_wrappers.cli import output, prompts
from chutes_wrappers.cli.setup import account_setup
from chutes_wrappers.cli.setup.account_setup import AccountSummary
from chutes_wrappers.cli.setup.questions import ask_hotkey, ask_until_valid, build_token_question, complete
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.host.account import registration, wallets
from chutes_wrappers.host.account.api_key import KEY_VARIABLE, get_key_path, read_api_key
from chutes_wrappers.host.account.wallets import Hotkey
from chutes_wrappers.host.account.website_link import MAX_FINGERPRINT_LENGTH, WebsiteLogin


def link_website_account(wallet: str | None, *, is_confirmed: bool) -> AccountSummary | None:
    """Link the account of the fingerprint. Return None if the user does not want it to get another hotkey."""
    if wallet not in (None, "new"):
        _find_hotkey(wallet)  # before the question for the fingerprint
    account_setup.warn_of_overridden_api()
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


def register(username: str, wallet: str | None) -> AccountSummary:
    """Register a new account. At a terminal, ask again for a token that the platform refuses."""
    registration.check_username(username)
    account_setup.warn_of_overridden_api()
    url = account_setup.find_api_url()
    account_setup.report_needs(url)
    if not prompts.is_possible():
        account_setup.find_token(url)  # before a wallet is created

    def register_for(hotkey: Hotkey) -> AccountSummary:
        return complete(
            {"token": build_token_question(url)},
            lambda token: account_setup.register_account(username, hotkey, token),
            registration.find_refused_reply,
        )

    return _keep_new_wallet(wallet, register_for)


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


def link_by_key(wallet: str | None) -> AccountSummary:
    """Link the account of the admin API key in the variable or the file."""
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
    if wallet is None and not wallets.find_hotkeys(folder := wallets.get_wallets_folder()):
        raise ConfigurationError(
            f"no wallet is in {folder}",
            where="--link",
            next_step="copy the wallet of the account's registration to it, or use --fingerprint: it gives the account a new hotkey",
        )
    account_setup.warn_of_overridden_api()
    return account_setup.link_account(_find_hotkey(wallet), key)
