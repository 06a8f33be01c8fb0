"""Comparison of a wrapped image with the module and manifest on this machine."""

from __future__ import annotations

from chutes_wrappers.core import layout, platform_rules
from chutes_wrappers.core.errors import ConfigurationError, ImageMissing, WrapperError
from chutes_wrappers.core.manifest import Manifest, parse_manifest
from chutes_wrappers.host.container_engine.engine import ImageFiles, ImageReader
from chutes_wrappers.host.modules.module_facts import ModuleFacts


def check_image_freshness(
    engine: ImageReader, image: str, facts: ModuleFacts, manifest: Manifest, *, build: str
) -> None:
    """Raise WrapperError unless ``image`` exists and contains this module and manifest; ``build`` is the command that builds it."""
    try:
        with engine.open_files(image) as files:
            stale_parts = _find_stale_parts(files, facts, manifest)
    except ImageMissing as error:
        raise WrapperError("the image is not built yet", where=image, next_step=f"build it: {build}") from error
    if stale_parts:
        raise WrapperError(
            f"the image was built from another version of {' and '.join(stale_parts)}",
            where=image,
            next_step=f"build again: {build}",
        )


def _find_stale_parts(files: ImageFiles, facts: ModuleFacts, manifest: Manifest) -> list[str]:
    """Compare the two files, not the cords: every cord and every start-up hook is made from them."""
    module_source = files.read(f"{platform_rules.INSTANCE_WORKDIR}/{facts.path.name}")
    stale_parts = [] if module_source == facts.path.read_bytes() else [facts.path.name]
    if not _has_manifest(files, manifest):
        stale_parts.append("the route manifest")
    return stale_parts


def _has_manifest(files: ImageFiles, manifest: Manifest) -> bool:
    content = files.read(layout.BAKED_MANIFEST)
    try:
        baked = parse_manifest((content or b"").decode("utf-8", errors="replace"), where=layout.BAKED_MANIFEST)
    except ConfigurationError:  # missing, or written by another version of the toolkit
        return False
    # The build adds the image's launch facts to a manifest without any.
    return manifest.model_copy(update={"image": manifest.image or baked.image}).to_json() == baked.to_json()
