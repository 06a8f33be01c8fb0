"""Description of what a module defines when the SDK loads it on this machine."""

from __future__ import annotations

from typing import Any

from chutes_wrappers.host.modules.loading import LoadOptions, Report, load_module
from chutes_wrappers.host.staging import Stage

# Both print one line of JSON last; their argument is the module's name. The second is for an image's own Python.
_DESCRIBE_TARGET = "chutes_wrappers.sdk.describe:main"
DESCRIBE_SCRIPT = "from chutes_wrappers.sdk.describe import main; main()"


def describe_staged_module(stage: Stage, report: Report) -> dict[str, Any]:
    """Return what the staged module defines (``sdk/describe.py``). ``report`` is called when loading takes long.

    Raises the module's own WrapperError, or ConfigurationError with its last output, about the user's file.
    """
    options = LoadOptions(
        module=stage.user_module, environment=stage.environment, directory=stage.folder, paths=stage.paths
    )
    return load_module(options, _DESCRIBE_TARGET, [stage.module], report)
