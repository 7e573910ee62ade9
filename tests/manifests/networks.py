"""Who may connect to whom, by the policies of the chart: as a cluster decides it.

A connection is allowed if a policy of the pod that begins it and one of the pod that takes it allow
it; a pod that no policy names in a direction is open in it.
"""

from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple

from tests.manifests.chart import NAMESPACE, Object, example, of_kind, pods, render


class Place(NamedTuple):
    """An end of a connection: a pod of a namespace with labels, or an address outside."""

    labels: tuple[tuple[str, str], ...] = ()
    namespace: str = NAMESPACE
    address: str = ""


def ours(component: str) -> Place:
    """A pod of the chart."""
    labels = {"name": "tocsin", "instance": "tocsin", "component": component}
    return Place(tuple((f"app.kubernetes.io/{key}", value) for key, value in labels.items()))


def outside(address: str) -> Place:
    """An address that is no pod's."""
    return Place(namespace="", address=address)


def chosen(selector: Object, labels: dict[str, str]) -> bool:
    """Whether a selector chooses these labels."""
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for one in selector.get("matchExpressions", []):
        assert one["operator"] == "NotIn", one
        if labels.get(one["key"]) in one["values"]:
            return False
    return True


def is_peer(peer: Object, place: Place, home: str) -> bool:
    """Whether an end is one that a policy of a namespace names."""
    if "ipBlock" in peer:
        if not place.address:
            return False
        address, block = ip_address(place.address), peer["ipBlock"]
        within = [ip_network(one) for one in (block["cidr"], *block.get("except", []))]
        return address in within[0] and not any(address in one for one in within[1:])
    if place.address:
        return False
    if "namespaceSelector" in peer:
        name = {"kubernetes.io/metadata.name": place.namespace}
        if not chosen(peer["namespaceSelector"], name):
            return False
    elif place.namespace != home:
        return False
    return chosen(peer.get("podSelector", {}), dict(place.labels))


class Cluster:
    """The policies of a rendered chart."""

    def __init__(self, objects: list[Object]) -> None:
        self.policies = list(of_kind(objects, "NetworkPolicy").values())

    def _allows(self, at: Place, other: Place, port: int, direction: str) -> bool:
        """Whether `at`, if it is a pod, may have this connection in a direction."""
        if at.address:
            return True
        key, ends = ("egress", "to") if direction == "Egress" else ("ingress", "from")
        is_named = False
        for policy in self.policies:
            spec, home = policy["spec"], policy["metadata"].get("namespace", NAMESPACE)
            mine = home == at.namespace and chosen(spec["podSelector"], dict(at.labels))
            if not mine or direction not in spec["policyTypes"]:
                continue
            is_named = True
            for rule in spec.get(key) or []:
                ports = [self._number(one["port"]) for one in rule.get("ports", [])]
                if (not ports or port in ports) and any(
                    is_peer(peer, other, home) for peer in rule[ends]
                ):
                    return True
        return not is_named

    @staticmethod
    def _number(port: Any) -> int:
        return 8080 if port == "http" else int(port)

    def connects(self, begins: Place, takes: Place, port: int) -> bool:
        """Whether a connection comes about."""
        return self._allows(begins, takes, port, "Egress") and self._allows(
            takes, begins, port, "Ingress"
        )


DATABASE = Place((("cnpg.io/cluster", "tocsin-db"),), "databases")
VALKEY = Place((("app.kubernetes.io/name", "valkey"),), "databases")
OPERATOR = Place((("app", "operator"),), "cnpg-system")
INGRESS = Place((("app", "nginx"),), "ingress")
STRANGER = Place((("app", "blog"),), "blog")
NEIGHBOUR = Place((("app", "blog"),))
NAMES = Place((("k8s-app", "kube-dns"),), "kube-system")
GATEWAYS = {"mobile": "192.0.2.5", "unicom": "198.51.100.5", "telecom": "203.0.113.5"}
PUBLIC = "8.8.8.8"


def check_three_carriers() -> str:
    """The stores are reached by ours alone, and a carrier by its own channel process alone."""
    objects = render(example("three-carriers"))
    cluster, tried = Cluster(objects), 0
    names = [name for name, _ in pods(objects)]
    for name in names:
        tried += 1
        pod = ours(name)
        assert cluster.connects(pod, DATABASE, 5432), name
        assert cluster.connects(pod, VALKEY, 6379), name
        assert cluster.connects(pod, NAMES, 53), name
        assert not cluster.connects(pod, DATABASE, 22), name
        assert not cluster.connects(pod, STRANGER, 80), name
        assert cluster.connects(pod, outside(PUBLIC), 443) is (name == "webhooks"), name
        for carrier, address in GATEWAYS.items():
            may = name in {f"channel-{carrier}", "webhooks"}
            assert cluster.connects(pod, outside(address), 7890) is may, f"{name} to {carrier}"
        for port in (8080, 8801):
            assert not cluster.connects(STRANGER, pod, port), name
            assert not cluster.connects(NEIGHBOUR, pod, port), name
    for other in (STRANGER, NEIGHBOUR, INGRESS, OPERATOR):
        by_operator = other is OPERATOR
        assert cluster.connects(other, DATABASE, 5432) is by_operator, other
        assert not cluster.connects(other, VALKEY, 6379), other
    assert cluster.connects(DATABASE, DATABASE, 5432), "instances copy one another"
    assert cluster.connects(INGRESS, ours("api"), 8080)
    assert not cluster.connects(INGRESS, ours("worker"), 8080)
    assert cluster.connects(outside(GATEWAYS["unicom"]), ours("channel-unicom"), 8801)
    assert not cluster.connects(outside(PUBLIC), ours("channel-unicom"), 8801)
    assert not cluster.connects(outside(GATEWAYS["unicom"]), ours("channel-mobile"), 8801)
    return f"{tried} components, {len(cluster.policies)} policies"


def check_everything() -> str:
    """What is turned on opens what it needs and no more."""
    objects = render(example("everything"))
    cluster = Cluster(objects)
    for name, _ in pods(objects):
        pod = ours(name)
        stores = name != "simulator"
        assert cluster.connects(pod, outside("192.0.2.10"), 5432) is stores, name
        assert cluster.connects(pod, outside("192.0.2.25"), 587) is (
            name in {"scheduler", "webhooks", "channel-others", "api"}
        ), name
        assert cluster.connects(pod, outside("10.1.2.3"), 443) is (
            name in {"webhooks", "channel-others", "api"}
        ), name
        tries = name == "api" or name.startswith("channel-")
        assert cluster.connects(pod, ours("simulator"), 7890) is tries, name
        # Where a channel's networks are not known it may go out, but not into the cluster.
        assert not cluster.connects(pod, outside("10.96.0.1"), 443), name
        assert not cluster.connects(pod, outside("169.254.169.254"), 80), name
    assert cluster.connects(ours("api"), outside("192.0.2.80"), 443)
    return f"{len(cluster.policies)} policies"


def check_minimal() -> str:
    """Without a word of it, nobody reaches the API, and only workers of webhooks go out."""
    values = example("minimal")
    values["network"]["clients"] = []
    objects = render(values)
    cluster = Cluster(objects)
    assert not cluster.connects(INGRESS, ours("api"), 8080)
    assert not cluster.connects(NEIGHBOUR, ours("api"), 8080)
    out = {name for name, _ in pods(objects) if cluster.connects(ours(name), outside(PUBLIC), 443)}
    wanted = {"webhooks"} | {name for name, _ in pods(objects) if name.startswith("channel-")}
    assert out == wanted, out
    return f"{len(out)} of {len(list(pods(objects)))} components reach the outside"
