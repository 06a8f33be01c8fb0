"""The container options of a platform instance (PLATFORM.md, section 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chutes_wrappers.core import platform_rules
from chutes_wrappers.host.container_engine.engine import ContainerSpec


def build_instance_spec(
    image: str,
    *,
    command: Sequence[str],
    entrypoint: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
    files: Mapping[str, bytes] | None = None,
    ports: Sequence[int] = (platform_rules.CHUTE_PORT,),
) -> ContainerSpec:
    """Build the options that run ``image`` as the platform does; ``environment`` overrides the defaults of an instance."""
    return ContainerSpec(
        image=image,
        entrypoint=entrypoint,
        command=command,
        user=f"{platform_rules.INSTANCE_UID}:{platform_rules.INSTANCE_GID}",
        environment={
            "HF_HOME": "/cache",
            "PYTHONUNBUFFERED": "1",
            **(environment or {}),
            platform_rules.EXECUTION_CONTEXT_VARIABLE: platform_rules.REMOTE_CONTEXT,
        },
        ports=ports,
        files=files or {},
        empty_volumes=platform_rules.INSTANCE_VOLUMES,
        shm_bytes=platform_rules.INSTANCE_SHM_BYTES,
        gpus="all",
        # Engines let containers bind any port; an instance cannot bind ports below 1024.
        sysctls={"net.ipv4.ip_unprivileged_port_start": str(platform_rules.MIN_UNPRIVILEGED_PORT)},
    )
