"""Checks of what the platform needs from a built image, run inside it as the instance's user.

That the SDK's native libraries load is checked before, by a stage of the forge (forge_stages.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import WrapperError, error_from_data
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.core.layout import BAKED_WRITABLE
from chutes_wrappers.host.container_engine.engine import ContainerEngine, ContainerSpec, RunningContainer
from chutes_wrappers.host.modules.definition import DESCRIBE_SCRIPT
from chutes_wrappers.host.parity.log_diagnosis import diagnose
from chutes_wrappers.sdk.child_result import ERROR

# A wheel is a zip file: its installation needs neither a network nor a build.
_INSTALL_PROBE = """
import subprocess, sys, zipfile
wheel = "/tmp/chutes_probe-0-py3-none-any.whl"
with zipfile.ZipFile(wheel, "w") as archive:
    archive.writestr("chutes_probe.py", "")
    archive.writestr("chutes_probe-0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: chutes-probe\\nVersion: 0\\n")
    archive.writestr("chutes_probe-0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    archive.writestr("chutes_probe-0.dist-info/RECORD", "")
subprocess.run(["pip", "install", "--no-index", "--no-deps", "-q", wheel], check=True)
sys.exit(subprocess.run(["python", "-c", "import chutes_probe"]).returncode)
"""
# The recipe lists these paths (sdk/recipe/writable.sh). A later layer of the module may change them.
_STILL_WRITABLE = f"""
[ -e {BAKED_WRITABLE} ] || exit 0
while IFS= read -r path; do
    [ -w "$path" ] || {{ echo "$path"; lost=1; }}
done <{BAKED_WRITABLE}
exit ${{lost:-0}}
"""


def verify_image(
    engine: ContainerEngine,
    image: str,
    host_description: dict[str, Any],
    module: str,
    launch: LaunchSpec | None,
    report: Callable[[str], None],
) -> None:
    """Check the image as uid 1000. Raise WrapperError with every failed check and its output."""
    spec = ContainerSpec(
        image=image,
        entrypoint=["sleep"],
        command=["3600"],
        user=f"{platform_rules.INSTANCE_UID}:{platform_rules.INSTANCE_GID}",
        environment={platform_rules.EXECUTION_CONTEXT_VARIABLE: platform_rules.REMOTE_CONTEXT},
    )
    failures: list[str] = []
    with engine.run(spec) as container:
        for name, argv in _build_checks(launch):
            result = container.execute(argv)
            if result.exit_code == 0:
                report(f"ok: {name}")
            else:
                failures.append(_format_failure(name, result.exit_code, result.output))
        if problem := _compare_cords(container, module, host_description):
            failures.append(problem)
        else:
            report(f"ok: {len(host_description['cords'])} cords, the same in the image and on this machine")
    if failures:
        diagnosis = "; ".join(map(str, diagnose(line for failure in failures for line in failure.splitlines())))
        raise WrapperError(
            "the built image failed its checks",
            where=image,
            evidence="\n".join(failures),
            next_step=diagnosis
            or "correct what the failed checks name and build again (--debug shows the whole build)",
        )


def _build_checks(launch: LaunchSpec | None) -> list[tuple[str, Sequence[str]]]:
    writable_paths = [platform_rules.INSTANCE_WORKDIR, *(launch.writes if launch is not None else ())]
    return [
        (
            "python, pip, chutes and curl on PATH",
            ["sh", "-c", "for name in python pip chutes curl; do command -v $name || exit 1; done"],
        ),
        ("pip install works for user chutes", ["python", "-I", "-c", _INSTALL_PROBE]),
        ("the writable paths of the recipe are still writable", ["sh", "-c", _STILL_WRITABLE]),
        *((f"{path} is writable", ["test", "-w", path]) for path in dict.fromkeys(writable_paths)),
    ]


def _format_failure(name: str, exit_code: int, output: str) -> str:
    return "\n".join([f"failed: {name}: exit code {exit_code}", *output.splitlines()[-5:]])


def _compare_cords(container: RunningContainer, module: str, host_description: dict[str, Any]) -> str | None:
    result = container.execute(["sh", "-c", f'exec python -I -c "{DESCRIBE_SCRIPT}" {module} 2>&1'])
    try:
        image_description = json.loads(result.output.splitlines()[-1])
    except (ValueError, IndexError):
        return _format_failure("the module loads inside the image", result.exit_code, result.output)
    if ERROR in image_description:
        return f"failed: the module loads inside the image: {error_from_data(image_description[ERROR])}"
    host_cords, image_cords = (
        [_strip_passthrough(cord) for cord in description["cords"]]
        for description in (host_description, image_description)
    )
    if host_cords == image_cords:
        return None
    different_paths = [cord["public_api_path"] for cord in host_cords if cord not in image_cords]
    different_paths += [cord["public_api_path"] for cord in image_cords if cord not in host_cords]
    return f"failed: cords differ between this machine and the image: {', '.join(dict.fromkeys(map(str, different_paths)))}"


def _strip_passthrough(cord: dict[str, Any]) -> dict[str, Any]:
    # `passthrough` may differ by design: the platform gets one value, and the instance uses another.
    return {key: value for key, value in cord.items() if key != "passthrough"}
