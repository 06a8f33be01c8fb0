"""Deployment to the emulated platform by the same steps as to the real one: account, ``chutes build``, ``chutes deploy``."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from chutes_wrappers.cli import output, sdk_upload
from chutes_wrappers.cli.build_following import follow_build
from chutes_wrappers.cli.commands.build import is_step
from chutes_wrappers.cli.commands.deploy import check_deployed
from chutes_wrappers.cli.commands.remote_build import upload
from chutes_wrappers.cli.emulation.emulated_image import PreparedImage
from chutes_wrappers.core.base_images import Forge
from chutes_wrappers.core.local_guard import AllowList
from chutes_wrappers.core.platform_rules import IMAGE_BUILT
from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.api.context import NewAccounts
from chutes_wrappers.emulator.deployed_chute import DeployedChute
from chutes_wrappers.emulator.server import RunningPlatform, Settings, run_platform
from chutes_wrappers.host.platform_api.api_client import PlatformApi
from chutes_wrappers.host.platform_api.chute_secrets import SecretSlot, store_secret
from chutes_wrappers.host.platform_api.lookup import find_listed_chute
from chutes_wrappers.host.platform_api.record_lookup import build_path
from chutes_wrappers.host.staging import Stage

# More than the fee of any placement, which --allow tee-placement lets through.
BALANCE = 1_000.0


class Developer:
    """A temporary user of an emulated platform with the SDK's command line, which ``variables`` configure for the user."""

    def __init__(self, platform: RunningPlatform, username: str, folder: Path, *, builds: bool) -> None:
        config = folder / "config.ini"
        self.platform = platform
        self._builds = builds
        self.account = accounts.ensure_config(platform.url, username, config, platform.registration.token)
        platform.registration.close()
        self.variables = {"CHUTES_CONFIG_PATH": str(config)}

    def build(self, stage: Stage, definition: Mapping[str, Any], *, debug: bool) -> None:
        """Upload the image of ``stage`` and wait until it is built. Raises WrapperError with the reason of a failure."""
        name = sdk_upload.build_image_reference(definition)
        with (
            output.Progress(self._format_title(name), verbose=debug, is_important=is_step) as progress,
            PlatformApi(self.platform.url, self.account) as api,
        ):
            image = upload(api, stage, name, progress, arguments=[], variables=self.variables)
            follow_build(api, image, progress, "the same command")
        if self._builds:
            output.success(f"{name} is {IMAGE_BUILT} after {progress.seconds:.0f} s")
        else:
            output.success(f"{name} is uploaded and recorded as built: without Docker nothing is built")

    def deploy(
        self, stage: Stage, definition: Mapping[str, Any], secrets: Mapping[str, str] | None = None
    ) -> DeployedChute:
        """Upload the module of ``stage`` and return its chute, whose first instance is starting.

        ``secrets`` are stored for it before that, as ``--secret`` does.
        """
        name = definition["name"]
        with (
            output.Progress(f"Deploying {name}") as progress,
            PlatformApi(self.platform.url, self.account) as api,
        ):
            sdk_error = sdk_upload.run_upload(
                stage, ["deploy", stage.reference, "--accept-fee"], progress, self.variables
            )
            chute = find_listed_chute(api, name)
            check_deployed(chute, None, definition["cords"], sdk_error)
            assert chute is not None
            for key, value in (secrets or {}).items():
                store_secret(api, SecretSlot(chute_id=chute.chute_id, name=name, key=key), value)
            # A first deployment is cold, as on the platform.
            path = build_path("chutes/warmup", chute.chute_id)
            api.get(path, f"warming up {name}", purpose="chutes", params={"quick": "true"})
        output.success(f"version {chute.version} of {name} is deployed")
        return self.platform.get_deployed_chute(chute.slug)

    def _format_title(self, name: str) -> str:
        return f"Building {name} as the platform does" if self._builds else f"Uploading {name}"


@contextlib.contextmanager
def create_developer(
    prepared: PreparedImage,
    username: str,
    *,
    module: Path,
    port: int,
    buildah: bool,
    forge: Forge,
    disk_limit_bytes: int,
    on_line: Callable[[str], None],
    allowed: AllowList,
) -> Iterator[Developer]:
    """Run an emulated platform on ``port`` and yield its only user, for the chute of ``module``. Only the image remains."""
    with tempfile.TemporaryDirectory(prefix="chutes-emulator-") as name:
        # Stable for a module: the engine reuses the layers of the last build and keeps one image instead of many.
        identity = hashlib.sha256(str(module).encode()).hexdigest()[:8]
        settings = Settings(
            folder=Path(name) / "state",
            port=port,
            docker=prepared.docker,
            new_accounts=NewAccounts(balance=BALANCE),
            buildah=buildah,
            forge=forge,
            disk_limit_bytes=disk_limit_bytes,
            on_line=on_line,
            identity=identity,
            allowed=allowed,
        )
        with run_platform(settings, prepared.launcher) as platform:
            yield Developer(platform, username, Path(name), builds=prepared.docker)
