from __future__ import annotations

import ast
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from chutes_wrappers.emulator import runner
from chutes_wrappers.emulator.launching import RUNNER_SOURCE


def test_it_can_be_mounted_alone_it_needs_only_what_the_sdk_brings() -> None:
    tree = ast.parse(Path(RUNNER_SOURCE).read_text())
    names = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} - sys.stdlib_module_names == {"cryptography"}


def test_importing_it_does_not_import_the_sdk() -> None:
    assert not hasattr(runner, "sdk")
    assert "GraValMiddleware" not in vars(runner)


async def test_only_signed_requests_seem_to_come_from_the_platform() -> None:
    seen: list[object] = []

    async def app(scope: MutableMapping[str, Any], receive: object, send: object) -> None:
        seen.append(scope["client"])

    async def nothing(*message: object) -> None: ...

    outside = runner.PlatformAddress(app)
    for headers in ([], [(b"x-chutes-signature", b"00")]):
        scope: dict[str, Any] = {"type": "http", "headers": headers, "client": ("127.0.0.1", 1)}
        await outside(scope, nothing, nothing)
    assert seen == [("127.0.0.1", 1), ("192.0.2.1", 0)]
