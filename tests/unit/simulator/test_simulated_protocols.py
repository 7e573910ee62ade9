"""A protocol of the simulated carrier is a row, a module of the wire, and a port."""

import pkgutil
from importlib import import_module

from service.simulator import wire
from service.simulator.carrier.config import SimulatorConfig
from service.simulator.carrier.protocols import PROTOCOLS


def test_each_protocol_has_a_module_a_row_and_a_port() -> None:
    names = [found.name for found in pkgutil.iter_modules(wire.__path__)]
    served = {name for name in names if hasattr(import_module(f"{wire.__name__}.{name}"), "listen")}
    ports = {name for name in SimulatorConfig.model_fields if name.endswith("_port")}
    assert served - {"admin", "robots"} == PROTOCOLS.keys()
    assert ports - {"admin_port", "robots_port"} == {f"{name}_port" for name in PROTOCOLS}
