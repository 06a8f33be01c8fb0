"""The helpers for deploy modules: those of ``chutes_wrappers.facade``, under the name that modules import."""

from chutes_wrappers.facade import *  # noqa: F403
from chutes_wrappers.facade import __all__ as __all__
