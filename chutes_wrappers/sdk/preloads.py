"""The imports of a deploy module from us and from the SDK.

Import this before the module's folder is on ``sys.path``. Otherwise a file there could shadow a package that these
imports look for and that is not installed, such as ``chardet``.
"""

import chutes_wrappers.sdk.cords
import chutes_wrappers.sdk.image
import chutes_wrappers.sdk.legacy
import chutes_wrappers.sdk.tunnel_cord  # noqa: F401
