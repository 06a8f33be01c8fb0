"""A user without anything on this machine, and the wizard."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from chutes_wrappers.host.account import wallets
from tests.commands import CommandResult, Commands
from tests.emulator.tokens import TOKEN
from tests.fork_server import WIZARD
from tests.scenario import ROOT, make_environment
from tests.terminal import Terminal


@dataclass(frozen=True)
class Newcomer:
    """A home folder without anything, and the wizard."""

    home: Path
    url: str

    @property
    def config(self) -> Path:
        return self.home / ".chutes" / "config.ini"

    @property
    def variables(self) -> dict[str, str]:
        inherited = {name: value for name, value in make_environment().items() if not name.startswith("CHUTES_")}
        return {
            **inherited,
            "HOME": str(self.home),
            "CHUTES_API_URL": self.url,
            "CHUTES_REGISTRATION_TOKEN": TOKEN,
            "PYTHONPATH": str(ROOT),
            "TERM": "dumb",
        }

    def run(self, *arguments: str, code: int = 0, stdin_text: str = "", **variables: str) -> str:
        done = self.run_apart(*arguments, stdin_text=stdin_text, **variables)
        assert done.code == code, done.stderr
        return done.stdout + done.stderr

    def run_apart(self, *arguments: str, stdin_text: str = "", **variables: str) -> CommandResult:
        """Run the wizard, and return its two outputs apart."""
        done = Commands(ROOT, self.variables, WIZARD).run(*arguments, stdin_text=stdin_text, variables=variables)
        assert "Traceback" not in done.stderr
        return done

    def at_terminal(self, columns: int = 60, *arguments: str, **variables: str) -> Terminal:
        environment = {**self.variables, **variables}
        return Terminal([*arguments], target=WIZARD, variables=environment, dimensions=(24, columns))


def secrets_of(newcomer: Newcomer) -> list[str]:
    """Collect the secrets of the written files, which must never be printed."""
    secrets = []
    folder = newcomer.home / ".bittensor" / "wallets"
    for wallet, name in wallets.find_hotkeys(folder):
        for path in (folder / wallet / "hotkeys" / name, folder / wallet / "coldkey"):
            wallet_file = wallets._read_json(path)
            secrets += [
                wallet_file["secretPhrase"],
                *(wallet_file[name].removeprefix("0x") for name in ("secretSeed", "privateKey")),
            ]
    for name in ("fingerprint-*", "api_key"):
        secrets += [path.read_text().strip() for path in newcomer.config.parent.glob(name)]
    return secrets


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777
