"""``--run-docker M``: the built image, run as the platform runs it."""

from __future__ import annotations

from collections.abc import Mapping

from chutes_wrappers.cli import local_run, module_preparation, output
from chutes_wrappers.cli.placement_warnings import warn_of_placement
from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.local_guard import Allowed, variables_of
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.container_engine.docker_engine import connect
from chutes_wrappers.host.container_engine.engine import ContainerSpec, started
from chutes_wrappers.host.container_engine.instance_container import instance_container
from chutes_wrappers.host.image_freshness import check_current
from chutes_wrappers.host.modules.definition import describe_outside
from chutes_wrappers.host.staging import staged


def run_docker(module: str, *, allowed: Allowed) -> int:
    """Run the built image of ``module`` until it ends or Ctrl-C; 0 for a clean stop after it was ready.

    ``allowed`` are hosts and origins beside those of this machine.
    """
    facts = module_preparation.facts(module)
    engine = connect()
    manifest = module_preparation.known(facts)
    if manifest is None:
        raise WrapperError(
            "there is no manifest, so nothing was built", next_step=f"{NAMES.deploy} --build {module} --local"
        )
    with staged(facts, manifest, username=module_preparation.username()) as stage:
        described = describe_outside(stage, output.report)
    warn_of_placement(facts, described)
    image = f"{described['image']['name']}:{described['image']['tag']}"
    spec = instance(image, stage.reference, variables_of(allowed))
    check_current(engine, image, facts, manifest, build=f"{NAMES.deploy} --build {module} --local")
    output.heading(
        f"Starting {image} as uid {platform_rules.INSTANCE_UID}, with empty {' and '.join(spec.empty_volumes)}"
    )
    with started(engine, spec, output.report) as container:
        log = local_run.ChuteLog(container.logs())
        base_url = f"http://127.0.0.1:{container.host_ports[platform_rules.CHUTE_PORT]}"
        local_run.wait_until_ready(base_url, lambda: log.check(container.exit_code()))
        local_run.report_ready(base_url, described["cords"])
        return local_run.until_interrupted(lambda: log.check(container.exit_code()))


def instance(image: str, reference: str, environment: Mapping[str, str] | None = None) -> ContainerSpec:
    """A container that is to the chute ``reference`` (``module:chute``) what an instance of the platform is."""
    command = ["chutes", "run", reference, "--dev", "--port", str(platform_rules.CHUTE_PORT)]
    return instance_container(image, command=command, environment=environment)
