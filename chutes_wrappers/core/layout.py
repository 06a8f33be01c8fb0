"""Paths inside a wrapped image. None is under /tmp or /cache: volumes hide both (PLATFORM.md, section 1)."""

from __future__ import annotations

BAKED_ROOT = "/opt/chutes-wrappers"
BAKED_LIB = f"{BAKED_ROOT}/lib"
BAKED_VENV = f"{BAKED_ROOT}/venv"
BAKED_RECIPE = f"{BAKED_ROOT}/recipe"
BAKED_WRITABLE = f"{BAKED_ROOT}/writable"
BAKED_MANIFEST = f"{BAKED_ROOT}/manifest.routes.json"
# The variable with the file that replaces BAKED_MANIFEST when a chute runs on a host, without an image.
BAKED_MANIFEST_VARIABLE = "CHUTES_WRAPPERS_MANIFEST"

# A JSON object with the module's launch settings: ``autostart`` (bool), ``entrypoint`` (string or list) and ``env`` (names
# that the module set in the image, and that therefore override the base image's values). Absent: all defaults.
LAUNCH_SETTINGS_VARIABLE = "CHUTES_WRAPPERS_LAUNCH"
# The names of the rules that ``--allow`` overruled for the build (core/overruled_rules.py), separated by commas.
ALLOW_VARIABLE = "CHUTES_WRAPPERS_ALLOW"

# Tracebacks must not show the values of variables, which may be secrets. These are loguru's default, and for the SDK's command
# line typer's, which prints the local variables of each frame; its older releases know only the last name.
TRACEBACK_SETTINGS = {"LOGURU_DIAGNOSE": "NO", "TYPER_STANDARD_TRACEBACK": "1", "_TYPER_STANDARD_TRACEBACK": "1"}

# ENV of the recipe, which the wrapped service must not get. PATH is not listed: the base image's PATH replaces it.
RECIPE_VARIABLES = (
    "CHUTES_USERNAME",
    "PIP_NO_CACHE_DIR",
    "UV_NO_CACHE",
    "UV_NO_CONFIG",
    *TRACEBACK_SETTINGS,
    ALLOW_VARIABLE,
    LAUNCH_SETTINGS_VARIABLE,
    BAKED_MANIFEST_VARIABLE,
)

# Copied from the build context (a staging folder, or the project's root) to BAKED_LIB.
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
