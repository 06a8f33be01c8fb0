"""``--run M``: the chute on this machine in the SDK's dev mode, for a service that also runs here."""

from __future__ import annotations

from chutes_wrappers.cli import local_run, module_preparation, output
from chutes_wrappers.cli.local_port import check_free_port
from chutes_wrappers.cli.placement_warnings import warn_about_placement
from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.core.local_guard import AllowList, environment_from_allow_list
from chutes_wrappers.core.manifest import Manifest
from chutes_wrappers.host import processes
from chutes_wrappers.host.discovery.container import check_ports
from chutes_wrappers.host.modules.definition import describe_staged_module
from chutes_wrappers.host.modules.header_variables import read_header_variables
from chutes_wrappers.host.sdk_command import build_dev_run_argv
from chutes_wrappers.host.staging import Stage, create_stage


def run_host(module: str, *, port: int, allowed: AllowList) -> int:
    """Run the chute of ``module`` here until it ends or Ctrl-C; return 0 for a clean stop after it was ready.

    ``allowed`` are hosts and origins in addition to those of this machine.
    """
    facts = module_preparation.read_facts(module)
    variables = read_header_variables(facts)
    manifest = module_preparation.find_manifest(facts)
    check_ports(facts.service_ports, (manifest and manifest.image) or LaunchSpec())
    if manifest is None:
        output.report(
            f"{facts.manifest_path.name} is missing: only static routes are registered (--discover finds more)"
        )
    with create_stage(facts, manifest or Manifest(), username=module_preparation.resolve_username()) as stage:
        definition = describe_staged_module(stage, output.report)
        warn_about_placement(facts, definition)
        services = ", ".join(map(str, facts.service_ports))
        output.print_heading(f"Starting the chute on port {port}; it waits for your service on {services}")
        environment = {
            **stage.environment,
            **facts.env,
            **variables,
            **stage.variables,
            **environment_from_allow_list(allowed),
            platform_rules.EXECUTION_CONTEXT_VARIABLE: platform_rules.REMOTE_CONTEXT,
        }
        with processes.start_process(
            _build_argv(stage, port), environment=environment, directory=stage.folder
        ) as process:
            log = local_run.ChuteLog(processes.read_lines(process))
            base_url = f"http://127.0.0.1:{port}"
            local_run.wait_until_ready(base_url, lambda: log.check(process.poll()))
            local_run.report_ready(base_url, definition["cords"], facts.examples)
            return local_run.wait_until_interrupted(lambda: log.check(process.poll()))


def _build_argv(stage: Stage, port: int) -> list[str]:
    logging_port = check_free_port(0)
    ports = ("--port", str(port), "--logging-port", str(logging_port))
    return build_dev_run_argv(stage.reference, "--host", "127.0.0.1", *ports)
