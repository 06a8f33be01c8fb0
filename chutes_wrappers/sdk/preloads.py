"""What a deploy module imports of us and of the SDK. Importing this before the module's folder is on ``sys.path`` keeps its
files from taking the place of packages that these look for and that are not installed, such as ``chardet``.
"""

import chutes_wrappers.sdk.cords
import chutes_wrappers.sdk.image
import chutes_wrappers.sdk.legacy
import chutes_wrappers.sdk.tunnel_cord  # noqa: F401
