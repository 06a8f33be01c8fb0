"""``--run-docker M``: the built image, run as the platform runs it."""

from __future__ import annotations

from collections.abc import Mapping

from chutes_wrappers.cli import local_run, module_preparation, output
from chutes_wrappers.cli.placement_warnings import warn_about_placement
from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.local_guard import AllowList, environment_from_allow_list
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.container_engine.docker_engine import connect
from chutes_wrappers.host.container_engine.engine import ContainerSpec, start_container
from chutes_wrappers.host.container_engine.instance_container import build_instance_spec
from chutes_wrappers.host.image_freshness import check_image_freshness
from chutes_wrappers.host.modules.definition import describe_staged_module
from chutes_wrappers.host.modules.header_variables import read_instance_secrets
from chutes_wrappers.host.staging import create_stage


def run_docker(module: str, *, allowed: AllowList) -> int:
    """Run the built image of ``module`` until it ends or Ctrl-C; return 0 for a clean stop after it was ready.

    ``allowed`` are hosts and origins in addition to those of this machine.
    """
    facts = module_preparation.read_facts(module)
    variables = read_instance_secrets(facts)
    engine = connect()
    manifest = module_preparation.find_manifest(facts)
    if manifest is None:
        raise WrapperError(
            "there is no manifest, so nothing was built", next_step=f"run {NAMES.deploy} --build {module} --local"
        )
    with create_stage(facts, manifest, username=module_preparation.resolve_username()) as stage:
        definition = describe_staged_module(stage, output.report)
    warn_about_placement(facts, definition)
    image = f"{definition['image']['name']}:{definition['image']['tag']}"
    spec = build_dev_run_spec(image, stage.reference, {**variables, **environment_from_allow_list(allowed)})
    check_image_freshness(engine, image, facts, manifest, build=f"{NAMES.deploy} --build {module} --local")
    output.print_heading(
        f"Starting {image} as uid {platform_rules.INSTANCE_UID}, with empty {' and '.join(spec.empty_volumes)}"
    )
    with start_container(engine, spec, output.report) as container:
        log = local_run.ChuteLog(container.stream_logs())
        base_url = f"http://127.0.0.1:{container.host_ports[platform_rules.CHUTE_PORT]}"
        local_run.wait_until_ready(base_url, lambda: log.check(container.read_exit_code()))
        local_run.report_ready(base_url, definition["cords"], facts.examples)
        return local_run.wait_until_interrupted(lambda: log.check(container.read_exit_code()))


def build_dev_run_spec(image: str, reference: str, environment: Mapping[str, str] | None = None) -> ContainerSpec:
    """Build the spec of a container that runs the chute ``reference`` (``module:chute``) as an instance of the platform does."""
    command = ["chutes", "run", reference, "--dev", "--port", str(platform_rules.CHUTE_PORT)]
    return build_instance_spec(image, command=command, environment=environment)
