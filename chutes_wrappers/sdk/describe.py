"""Description of what a module defines, as JSON, to compare both sides of a deployment.

Run it in the module's folder. In an image: ``python -I -c "from chutes_wrappers.sdk.describe import main; main()" MODULE``.
On a host: ``python start.py chutes_wrappers.sdk.describe:main MODULE``.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from typing import Any, NoReturn

from chutes_wrappers.core import layout, platform_rules
from chutes_wrappers.core.base_images import parse_base_images
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.sdk.child_result import exit_with_result

# Dockerfile lines that put our package into an image. A module may also do so itself, with .add().
_TOOLKIT_DIRECTIVE = re.compile(rf"{re.escape(layout.BAKED_RECIPE)}/|^ADD (?:.*\b(?:tools|chutes_wrappers)\b|\.)")
_ENV_DIRECTIVE = re.compile(r"ENV ([^ =]+)")


def main() -> NoReturn:
    """Print ``{"image": {"name", "tag"}, "cords": […], …}``, with the chute's settings, for the module in the last argument."""
    exit_with_result(_describe_module)


def _describe_module() -> dict[str, Any]:
    from chutes.entrypoint._shared import load_chute

    import chutes_wrappers.sdk.preloads  # noqa: F401

    _, chute = load_chute(f"{sys.argv[-1]}:chute", None, debug=False)
    return describe(getattr(chute, "chute", chute))


def describe(chute: Any) -> dict[str, Any]:
    """Return the parts of a chute that its deployment uploads (SDK entrypoint/deploy.py), ``image`` by name and tag.

    Raises ConfigurationError for an argument that the SDK cannot upload.
    """
    description = {
        "image": _describe_image(chute.image),
        "name": chute.name,
        "chute_id": chute.uid,
        "tagline": chute.tagline,
        "readme": chute.readme,
        "node_selector": _describe_selector(chute.node_selector),
        "tee": chute.tee,
        "concurrency": chute.concurrency,
        "max_instances": chute.max_instances,
        "scaling_threshold": chute.scaling_threshold,
        "shutdown_after_seconds": chute.shutdown_after_seconds,
        "allow_external_egress": chute.allow_external_egress,
        "encrypted_fs": chute.encrypted_fs,
        "lock_modules": chute.lock_modules,
        "standard_template": chute.standard_template,
        "revision": chute.revision,
        "jobs": [job.name for job in chute.jobs],
        "cords": [
            {
                "function": cord._func.__name__,
                "path": cord.path,
                "public_api_path": cord.public_api_path,
                "public_api_method": cord._public_api_method,
                "method": cord._method,
                "stream": cord._stream,
                "passthrough": cord._passthrough,
                "passthrough_path": cord.passthrough_path,
                "passthrough_port": _find_target_port(cord),
                "input_schema": cord.input_schema,
                "output_schema": cord.output_schema,
                "output_content_type": cord.output_content_type,
            }
            for cord in chute.cords
        ],
    }
    if not isinstance(chute.name, str):
        raise ConfigurationError(
            f"the chute's name is {chute.name!r}, not a text", where="Chute(…)", next_step="write name=CHUTE_NAME"
        )
    for name, value in description.items():
        _check_json(name, value)
    return description


def _check_json(name: str, value: Any) -> None:
    """Raise ConfigurationError unless ``value`` can be JSON, as in the SDK's request (SDK util/auth.py)."""
    try:
        json.dumps(value)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"the SDK cannot upload {name}: {error}",
            where="Chute(…)",
            next_step=f"use plain Python numbers, texts and lists for {name}",
        ) from error


def _describe_selector(selector: Any) -> dict[str, Any] | None:
    """Return the fields that the SDK uploads. Raises ConfigurationError for what the SDK cannot upload."""
    if selector is None:
        return None
    if not hasattr(selector, "model_dump"):
        raise ConfigurationError(
            f"node_selector is of type {type(selector).__name__}, not a NodeSelector, so the SDK cannot upload it",
            where="Chute(…)",
            next_step=f"write {platform_rules.TEE_ARGUMENTS[1].rstrip(',')}",
        )
    return dict(selector.model_dump())


def _describe_image(image: Any) -> dict[str, Any]:
    """Return name, tag and username of an image, and facts of its Dockerfile.

    ``holds_toolkit``: whether its directives add our package. ``env``: the names of its variables. ``bases``: the target of each
    FROM. ``dockerfile``: its SHA-256.

    An image that is only a reference has an empty tag, and no username; ``holds_toolkit`` is None.
    """
    if not hasattr(image, "tag"):
        return {"name": str(image), "tag": "", "username": None, "holds_toolkit": None, "env": [], "bases": []}
    lines = str(image).splitlines()
    return {
        "name": image.name,
        "tag": image.tag,
        "username": image.username,
        "dockerfile": hashlib.sha256(str(image).encode()).hexdigest(),
        "holds_toolkit": any(_TOOLKIT_DIRECTIVE.search(line) for line in lines),
        "env": [match[1] for line in lines if (match := _ENV_DIRECTIVE.match(line))],
        "bases": [base.target for base in parse_base_images(str(image))],
    }


def _find_target_port(cord: Any) -> int | None:
    # Our loopback server serves a cord under its internal path, and has a port only on an instance.
    return None if cord.passthrough_path == cord.path else cord._passthrough_port
