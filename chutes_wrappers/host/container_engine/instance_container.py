"""The container options of a platform instance (PLATFORM.md, section 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chutes_wrappers.core import platform_rules
from chutes_wrappers.host.container_engine.engine import ContainerSpec, KeptVolume
from chutes_wrappers.host.container_engine.seccomp_profile import build_seccomp_profile


def build_instance_spec(
    image: str,
    *,
    command: Sequence[str],
    entrypoint: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
    files: Mapping[str, bytes] | None = None,
    ports: Sequence[int] = (platform_rules.CHUTE_PORT,),
    cache: KeptVolume | None = None,
) -> ContainerSpec:
    """Build the options that run ``image`` as the platform does. The host's variables win over ``environment``.

    ``cache`` is mounted at its target in place of an empty volume.
    """
    return ContainerSpec(
        image=image,
        entrypoint=entrypoint,
        command=command,
        user=f"{platform_rules.INSTANCE_UID}:{platform_rules.INSTANCE_GID}",
        environment={
            "PYTHONUNBUFFERED": "1",
            **(environment or {}),
            **platform_rules.HOST_VARIABLES,
        },
        ports=ports,
        files=files or {},
        empty_volumes=[path for path in platform_rules.INSTANCE_VOLUMES if cache is None or path != cache.target],
        kept_volumes=[] if cache is None else [cache],
        seccomp_profile=build_seccomp_profile(),
        capabilities=platform_rules.INSTANCE_CAPABILITIES,
        shm_bytes=platform_rules.INSTANCE_SHM_BYTES,
        gpus="all",
        # Engines let containers bind any port; an instance cannot bind ports below 1024.
        sysctls={"net.ipv4.ip_unprivileged_port_start": str(platform_rules.MIN_UNPRIVILEGED_PORT)},
    )
