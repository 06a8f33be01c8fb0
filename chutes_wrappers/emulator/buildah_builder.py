"""An image builder that works as the platform's: buildah in chroot isolation (PLATFORM.md, section 1)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from chutes_wrappers.core.base_images import list_pulled_images
from chutes_wrappers.emulator.builder import LABEL, BuildCommands


class BuildahBuilder:
    """Builds with buildah in its own ``storage``, and pushes the image to the Docker engine, which runs it.

    Base images come from the engine when it has them, else from their registry. Raises EngineUnavailable when buildah or
    the docker command is missing.
    """

    def __init__(self, identity: str, storage: Path) -> None:
        self._buildah = BuildCommands("buildah", "install buildah, or leave --buildah out to build with Docker")
        self._docker = BuildCommands("docker", "install Docker's command line")
        self._storage = ["--root", str(storage / "root"), "--runroot", str(storage / "run")]
        self._label = f"{LABEL}={identity}"

    def build(self, context: Path, reference: str, on_line: Callable[[str], None]) -> None:
        for base in list_pulled_images((context / "Dockerfile").read_text(encoding="utf-8")):
            if self._docker.try_run("image", "inspect", base):
                on_line(f"copying {base} from the Docker engine")
                self._run(["pull", f"docker-daemon:{_add_default_tag(base)}"], context, on_line)
        self.build_stage(context, reference, True, on_line)

    def build_stage(self, context: Path, reference: str, has_network: bool, on_line: Callable[[str], None]) -> None:
        # In chroot isolation, buildah always has the network.
        options = ["--isolation", "chroot", "--layers", "--label", self._label, "-t", reference]
        self._run(["bud", *options, "."], context, on_line)

    def publish(self, reference: str, on_line: Callable[[str], None]) -> None:
        on_line(f"pushing {reference} to the Docker engine")
        self._run(["push", reference, f"docker-daemon:{reference}"], Path.cwd(), on_line)

    def remove(self, reference: str) -> None:
        self._buildah.try_run(*self._storage, "rmi", reference)
        self._docker.try_run("image", "rm", reference)

    def stop(self) -> None:
        self._buildah.stop()

    def _run(self, arguments: list[str], context: Path, on_line: Callable[[str], None]) -> None:
        self._buildah.run([*self._storage, *arguments], context, on_line)


def _add_default_tag(reference: str) -> str:
    """Return ``reference`` with a tag, which the docker-daemon transport requires."""
    return reference if ":" in reference.rpartition("/")[2] or "@" in reference else f"{reference}:latest"
