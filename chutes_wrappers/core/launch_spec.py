"""Launch facts: how a base image starts its service, found by inspection and used by the launcher."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from chutes_wrappers.core.platform_rules import IMAGE_PLATFORM


class LaunchSpec(BaseModel):
    """How the base image starts its service. JSON shape: the ``image`` object of a route manifest.

    ``entrypoint`` and ``cmd`` are argv lists (Docker's shell form is ``["/bin/sh", "-c", …]``). ``environment`` is what the
    image sets, never what a user passed. ``exposed_ports`` are TCP ports. ``health_check`` is Docker's test list
    (``["CMD-SHELL", "curl …"]``). ``readiness`` maps a port to an HTTP path that returns 2xx once the service is ready.
    ``writes`` are absolute paths that the service created or changed while it ran. ``cuda_version`` ("12.4") is empty for an
    image without CUDA, and ``cuda_source`` is what says so.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    reference: str = ""
    digest: str = ""
    platform: str = IMAGE_PLATFORM
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    working_dir: str = "/"
    user: str = ""
    home: str = "/root"
    environment: dict[str, str] = Field(default_factory=dict)
    exposed_ports: tuple[int, ...] = ()
    volumes: tuple[str, ...] = ()
    health_check: tuple[str, ...] = ()
    readiness: dict[int, str] = Field(default_factory=dict)
    writes: tuple[str, ...] = ()
    cuda_version: str = Field(default="", pattern=r"^([0-9]{1,3}\.[0-9]{1,3})?$")
    cuda_source: str = ""

    @property
    def argv(self) -> tuple[str, ...]:
        """The command line that the image runs without an override; empty if the image has none."""
        return (*self.entrypoint, *self.cmd)
