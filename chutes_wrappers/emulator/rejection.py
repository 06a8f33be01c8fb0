"""Rejections that the user can overrule by the name of their rule (``--allow RULE``)."""

from __future__ import annotations

from loguru import logger

from chutes_wrappers.core.overruled_rules import is_overruled


def raise_unless_overruled(rule: str, error: Exception) -> None:
    """Raise ``error``, the platform's response to what violates ``rule``; only log it when the user overruled the rule."""
    if not is_overruled(rule):
        raise error
    logger.warning("rule {} was overruled: the platform would reject this: {}", rule, error)
