"""The fixtures of the API's tests, for its pages."""

from tests.integration.api.conftest import (
    _quick_hashes,
    api,
    hired,
    runtime_settings,
    staff,
    template,
)

__all__ = ["_quick_hashes", "api", "hired", "runtime_settings", "staff", "template"]
