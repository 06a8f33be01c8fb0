"""Where things lie inside a wrapped image. Nothing under /tmp or /cache: volumes hide both (PLATFORM.md, section 1)."""

from __future__ import annotations

BAKED_ROOT = "/opt/chutes-wrappers"
BAKED_LIB = f"{BAKED_ROOT}/lib"
BAKED_VENV = f"{BAKED_ROOT}/venv"
BAKED_RECIPE = f"{BAKED_ROOT}/recipe"
BAKED_WRITABLE = f"{BAKED_ROOT}/writable"
BAKED_MANIFEST = f"{BAKED_ROOT}/manifest.routes.json"
# Names the file that stands in for BAKED_MANIFEST where a chute runs without an image, on a host.
BAKED_MANIFEST_VARIABLE = "CHUTES_WRAPPERS_MANIFEST"

# A JSON object with what the module said about launching: ``autostart`` (bool), ``entrypoint`` (string or list) and
# ``env`` (names that the module set in the image and that therefore beat the base image's values). Absent: all defaults.
LAUNCH_SETTINGS_VARIABLE = "CHUTES_WRAPPERS_LAUNCH"

# ENV of the recipe, which the wrapped service must not see. PATH is not here: the base image's own replaces it.
RECIPE_VARIABLES = (
    "CHUTES_USERNAME",
    "PIP_NO_CACHE_DIR",
    "UV_NO_CACHE",
    LAUNCH_SETTINGS_VARIABLE,
    BAKED_MANIFEST_VARIABLE,
)

# What goes from the build context (a staging folder, or the project's root) to BAKED_LIB.
PACKAGE_SOURCES = (
    "chutes_wrappers/__init__.py",
    "chutes_wrappers/facade.py",
    "chutes_wrappers/core",
    "chutes_wrappers/runtime",
    "chutes_wrappers/sdk",
    "tools/__init__.py",
    "tools/chute_wrappers.py",
)
RECIPE_SOURCE = "chutes_wrappers/sdk/recipe"
