"""Finds the kinds of gateways: every module of `service.gateways` has one class with its name.

They are loaded by name, so that no module depends on a gateway.
"""

import inspect
import pkgutil
from functools import cache
from importlib import import_module
from typing import cast

from service.channels.contract.gateway import Gateway, GatewayFactory
from service.channels.contract.model import ChannelSettings
from service.errors import Invalid, NotFound
from service.words.phrase import listing, phrase

PACKAGE = "service.gateways"


@cache
def load() -> dict[str, type[Gateway]]:
    """Every kind of gateway, by its name."""
    folder = import_module(PACKAGE).__path__
    modules = [import_module(f"{PACKAGE}.{found.name}") for found in pkgutil.iter_modules(folder)]
    classes = [cls for module in modules for _, cls in inspect.getmembers(module, inspect.isclass)]
    return {
        cls.kind: cls for cls in classes if issubclass(cls, Gateway) and not inspect.isabstract(cls)
    }


def own_reference_kinds() -> list[str]:
    """The kinds whose parts have a reference of ours, whether the carrier took them or not."""
    return [kind for kind, gateway in load().items() if gateway.own_references]


def factory(kind: str) -> GatewayFactory:
    """What makes gateways of a kind, from their settings, a Deliver and a Clock.

    Raises:
        NotFound: there is no such kind.
    """
    if kind not in load():
        raise NotFound(
            phrase(
                "there is no gateway kind {kind!r}; the kinds are {kinds}",
                kind=kind,
                kinds=listing(load()),
            )
        )
    return cast(GatewayFactory, load()[kind])


def stored_faults(settings: ChannelSettings) -> list[str]:
    """The settings for which a channel would not be set up now, though this one goes on."""
    kind = load()[settings.kind]
    return list(kind.settings_faults(settings.config, simulated=settings.simulated))


def check_given(settings: ChannelSettings) -> None:
    """Refuse settings with which a channel of this kind, real or simulated, is not set up (now).

    Raises:
        Invalid: names each.
    """
    kind = load()[settings.kind]
    faults = kind.settings_faults(settings.config, simulated=settings.simulated)
    if faults:
        fields = {f"config.{name}": why for name, why in faults.items()}
        raise Invalid(
            phrase(
                "the channel's settings are wrong: {faults}", faults=listing(faults.values(), "; ")
            ),
            fields=fields,
        )
