"""What a module defines, as JSON: to compare both sides of a deployment.

Run as ``python -I -c "from chutes_wrappers.sdk.describe import main; main()" MODULE`` in the module's folder.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def main() -> None:
    """Print ``{"image": {"name", "tag"}, "cords": […]}`` of the module named by the last argument to standard output."""
    printed, sys.stdout = sys.stdout, sys.stderr
    from chutes.entrypoint._shared import load_chute

    _, chute = load_chute(f"{sys.argv[-1]}:chute", None, debug=False)
    json.dump(describe(getattr(chute, "chute", chute)), printed, sort_keys=True)


def describe(chute: Any) -> dict[str, Any]:
    """The parts of a chute that its deployment uploads (SDK entrypoint/deploy.py), ``image`` by name and tag."""
    image = chute.image
    return {
        "image": {"name": image.name, "tag": image.tag} if hasattr(image, "tag") else {"name": str(image), "tag": ""},
        "cords": [
            {
                "function": cord._func.__name__,
                "path": cord.path,
                "public_api_path": cord.public_api_path,
                "public_api_method": cord._public_api_method,
                "method": cord._method,
                "stream": cord._stream,
                "passthrough": cord._passthrough,
                "input_schema": cord.input_schema,
                "output_schema": cord.output_schema,
                "output_content_type": cord.output_content_type,
            }
            for cord in chute.cords
        ],
    }
