"""Whether the installed packages are those that work together."""

from collections.abc import Sequence

from opensloth_core.doctor.finding import Finding, warning
from opensloth_core.doctor.versions import check_versions


def version_warnings() -> Sequence[Finding]:
    """A warning where a package is not within its bounds; what does not work fails by itself."""
    found = check_versions()
    return [] if found.mark == "ok" else [warning(found.check, found.text, found.remedy or "")]
