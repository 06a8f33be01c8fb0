"""The questions of ``./setup.sh --account``. After a refusal they ask for the refused reply again, and keep the others."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

from chutes_wrappers.cli import output, prompts
from chutes_wrappers.cli.setup import account_setup
from chutes_wrappers.cli.setup.key_setup import set_up_key
from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.account import registration, wallets
from chutes_wrappers.host.account.api_key import check_key, read_api_key
from chutes_wrappers.host.account.config_file import check_writable
from chutes_wrappers.host.account.credentials import read_account
from chutes_wrappers.host.account.key_access import INVOKE_POWER
from chutes_wrappers.host.account.wallets import Hotkey
from chutes_wrappers.host.account.website_link import WebsiteLogin
from chutes_wrappers.host.platform_api.api_client import PlatformRequestFailed
from chutes_wrappers.sdk.username import get_config_path

_Result = TypeVar("_Result")


def run_questions() -> int:
    """Ask for an account and for an API key. Return the exit code."""
    if not prompts.is_possible():
        raise ConfigurationError(
            "the questions need a terminal: standard input is not one",
            next_step="give --fingerprint, --register USERNAME, --link, --config FILE or --from-env; see --help",
        )
    has_account = _show_wallets_and_account()
    account_setup.warn_of_overridden_api()
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


def complete(
    questions: Mapping[str, Callable[[], Any]],
    action: Callable[..., _Result],
    find_refused: Callable[[WrapperError], str | None],
) -> _Result:
    """Return what ``action`` returns for the replies to ``questions``, which are its keyword arguments.

    After an error only the refused reply is requested again: after an error of the action, the one that ``find_refused``
    names. The error is raised if that is not one of the questions, and without a terminal.
    """
    replies: dict[str, Any] = {}
    while True:
        for name, ask in questions.items():
            if name not in replies:
                replies[name] = ask_until_valid(ask)
        try:
            return action(**replies)
        except WrapperError as failure:
            refused = find_refused(failure)
            if refused is None or refused not in questions or not prompts.is_possible():
                raise
            output.error(failure)
            del replies[refused]


def ask_until_valid(ask: Callable[[], _Result]) -> _Result:
    """Return what ``ask`` returns. At a terminal, ask again after an invalid reply, and one that the platform refuses with 401."""
    while True:
        try:
            return ask()
        except WrapperError as failure:
            is_invalid = isinstance(failure, ConfigurationError) or _is_unauthorized(failure)
            if not is_invalid or not prompts.is_possible():
                raise
            output.error(failure)


def _is_unauthorized(failure: WrapperError) -> bool:
    return isinstance(failure, PlatformRequestFailed) and failure.status == HTTPStatus.UNAUTHORIZED


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


def _set_up_until_done() -> None:
    """Ask until an account is set up; raises Quit."""
    ways: dict[str, tuple[str, Callable[[], object]]] = {
        "1": ("use your account of the website, by its fingerprint", _link_by_fingerprint),
        "2": (f"register a new account: needs {platform_rules.REGISTRATION_DEPOSIT_TAO:g} TAO", _register),
        "3": ("use an account whose hotkey is in a wallet here, by its admin API key", _link_by_key),
        "4": ("use a configuration file", _use_file),
    }
    while True:
        with contextlib.suppress(prompts.Back):
            for number, (title, _) in ways.items():
                output.show(f"  {number}) {title}")
            choice = prompts.ask_text("What to do (b goes back, q quits)", "1")
            if choice not in ways:
                output.warning(f"unknown choice {choice!r}: expected 1, 2, 3, 4 or q")
                continue
            try:
                check_writable(get_config_path())
                if ways[choice][1]() is not None:
                    return
            except WrapperError as failure:
                output.error(failure)


def _link_by_fingerprint() -> object:
    output.show(f"The fingerprint is the login of the website. It is sent to {account_setup.find_api_url()} only.")

    def link(login: WebsiteLogin, hotkey: Hotkey) -> object:
        has_hotkey = login.hotkey == hotkey.address
        if not has_hotkey and not account_setup.confirm_hotkey(
            login, f"{hotkey.wallet}/{hotkey.name}", is_confirmed=False
        ):
            return None
        return account_setup.link_website_account(login, hotkey)

    return complete(
        {
            "login": lambda: account_setup.log_in(prompts.ask_text("Fingerprint (it is not shown)", None, hidden=True)),
            "hotkey": ask_hotkey,
        },
        link,
        lambda failure: _find_status(failure, {HTTPStatus.UNAUTHORIZED: "login", HTTPStatus.CONFLICT: "hotkey"}),
    )


def _find_status(failure: WrapperError, replies: Mapping[int, str]) -> str | None:
    return replies.get(failure.status) if isinstance(failure, PlatformRequestFailed) else None


def _register() -> object:
    url = account_setup.find_api_url()
    account_setup.report_needs(url)
    return complete(
        {
            "username": lambda: registration.check_username(
                prompts.ask_text("Username (3 to 15 letters, digits, _ or -)", None)
            ),
            "hotkey": ask_hotkey,
            "token": build_token_question(url),
        },
        account_setup.register_account,
        registration.find_refused_reply,
    )


def build_token_question(url: str) -> Callable[[], str]:
    """Return a question for the registration token. Its first reply may come from the variable; each later one is a new token."""
    sources = [account_setup.find_token]

    def ask() -> str:
        source = sources.pop() if sources else account_setup.ask_token
        return source(url)

    return ask


def _link_by_key() -> object:
    folder = wallets.get_wallets_folder()
    if not wallets.find_hotkeys(folder):
        raise ConfigurationError(
            f"no wallet is in {folder}",
            next_step="copy the wallet of the account's registration to it, or choose 1: the fingerprint gives the account a new hotkey",
        )

    def find_refused(failure: WrapperError) -> str | None:
        if isinstance(failure, registration.HotkeyMismatch):
            return "hotkey"
        return "key" if _is_unauthorized(failure) else None

    return complete(
        {
            "hotkey": lambda: ask_hotkey(may_be_new=False),
            "key": lambda: check_key(
                prompts.ask_text("Admin API key (it is not shown)", None, hidden=True), where="the reply"
            ),
        },
        account_setup.link_account,
        find_refused,
    )


def _use_file() -> object:
    def find_refused(failure: WrapperError) -> str | None:
        return "path" if isinstance(failure, ConfigurationError) or _is_unauthorized(failure) else None

    return complete({"path": lambda: Path(prompts.ask_text("File", None))}, account_setup.use_config_file, find_refused)


def ask_hotkey(*, may_be_new: bool = True) -> Hotkey:
    """Ask for a hotkey of the wallets; with ``may_be_new`` also for a new one, which is created."""
    folder = wallets.get_wallets_folder()
    hotkeys = wallets.find_hotkeys(folder)
    for number, (wallet, hotkey) in enumerate(hotkeys, start=1):
        output.show(f"  {number}) {wallet}/{hotkey}")
    if may_be_new:
        output.show("  n) create a new wallet")
    while True:
        choice = prompts.ask_text("Sign with", "1" if hotkeys else "n").lower()
        if choice == "n" and may_be_new:
            return account_setup.make_wallet()
        if choice.isdecimal() and 1 <= int(choice) <= len(hotkeys):
            return wallets.read_hotkey(folder, *hotkeys[int(choice) - 1])
        output.warning(f"unknown choice {choice!r}: expected one of the numbers{' or n' if may_be_new else ''}")


def _offer_key() -> None:
    question = f"Make an API key for --call and --forward, which {INVOKE_POWER}?"
    if read_api_key() is not None or prompts.ask_yes_no(question, default=True):
        set_up_key("invoke", is_confirmed=False)
