"""What a module defines when the SDK loads it on this machine."""

from __future__ import annotations

from typing import Any

from chutes_wrappers.host.modules.loading import LoadOptions, Report, load_module
from chutes_wrappers.host.staging import Stage

# Both end with one line of JSON, and take the module's name as their argument; the second is for an image's own Python.
_DESCRIBE_TARGET = "chutes_wrappers.sdk.describe:main"
DESCRIBE_SCRIPT = "from chutes_wrappers.sdk.describe import main; main()"


def describe_staged_module(stage: Stage, report: Report) -> dict[str, Any]:
    """What the staged module defines (``sdk/describe.py``); ``report`` hears when loading takes long.

    Raises the module's own WrapperError, or ConfigurationError with its last words, about the user's own file.
    """
    options = LoadOptions(
        module=stage.user_module, environment=stage.environment, directory=stage.folder, paths=stage.paths
    )
    return load_module(options, _DESCRIBE_TARGET, [stage.module], report)
