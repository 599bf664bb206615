"""Objects against each other: what one names is there, and selectors find what they are for."""

from pathlib import Path

import yaml

ALERTS = Path(__file__).resolve().parent.parent / "deploy/alerts/graft.yaml"
# Made by whoever installs the chart, as the examples say.
BEFOREHAND = {"Secret": {"graft-database", "graft-bucket"}, "PersistentVolumeClaim": {"backbones", "mine"}}


def finds(selector: dict, labels: dict) -> bool:
    """Whether a selector of labels finds these."""
    return bool(selector) and selector.items() <= labels.items()


def names_of(spec: dict) -> list[tuple[str, str]]:
    """The other objects that a pod names, with their kinds."""
    named = []
    for volume in spec.get("volumes", []):
        named += [("ConfigMap", volume["configMap"]["name"])] if "configMap" in volume else []
        named += (
            [("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])]
            if "persistentVolumeClaim" in volume
            else []
        )
    for container in spec["containers"]:
        for source in container.get("envFrom", []):
            named += [("Secret", source["secretRef"]["name"])] if "secretRef" in source else []
        for variable in container.get("env", []):
            secret = variable.get("valueFrom", {}).get("secretKeyRef")
            named += [("Secret", secret["name"])] if secret else []
    if spec["serviceAccountName"] != "default":
        named.append(("ServiceAccount", spec["serviceAccountName"]))
    return named


def check_objects(objects: list[dict], faults: list[str]) -> None:
    """All objects of a release."""
    there = [(one["kind"], one["metadata"]["name"]) for one in objects]
    faults += [f"{kind} {name} is there twice" for kind, name in sorted(set(there)) if there.count((kind, name)) > 1]
    faults += [
        f"{one['kind']} {one['metadata']['name']} has no namespace"
        for one in objects
        if "namespace" not in one["metadata"]
    ]
    pods = [one["spec"]["template"] for one in objects if one["kind"] == "Deployment"]
    services = [one for one in objects if one["kind"] == "Service"]
    for one in objects:
        kind, spec = one["kind"], one.get("spec", {})
        name = f"{kind} {one['metadata']['name']}"
        selector = spec.get("selector", spec.get("podSelector", {}))
        selector = selector.get("matchLabels", selector)
        if kind in ("Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"):
            found = [pod for pod in pods if finds(selector, pod["metadata"]["labels"])]
            if len(found) != 1:
                faults.append(f"{name} selects the pods of {len(found)} deployments, and should those of one")
            elif kind == "Service":
                ports = {port["name"] for container in found[0]["spec"]["containers"] for port in container["ports"]}
                faults += [
                    f"{name}: no container has the port {port['targetPort']}"
                    for port in spec["ports"]
                    if port["targetPort"] not in ports
                ]
        if kind in ("HorizontalPodAutoscaler", "ScaledObject"):
            target = spec["scaleTargetRef"]["name"]
            deployment = next(
                (other for other in objects if (other["kind"], other["metadata"]["name"]) == ("Deployment", target)),
                None,
            )
            if deployment is None:
                faults.append(f"{name} scales {target}, which is not there")
            elif "replicas" in deployment["spec"]:
                faults.append(f"{name}: {target} sets replicas, too, so that each installation undoes the scaling")
        if kind == "ServiceMonitor":
            found = [service for service in services if finds(selector, service["metadata"]["labels"])]
            ports = {port["name"] for service in found for port in service["spec"]["ports"]}
            if (
                len(found) != 1
                or spec["endpoints"][0]["port"] not in ports
                or spec["jobLabel"] not in found[0]["metadata"]["labels"]
            ):
                faults.append(f"{name} finds no service with the port and the label that it names")
        if kind == "PrometheusRule":
            rules = yaml.safe_load(
                ALERTS.read_text().replace("runbook_url: ", "runbook_url: https://git.example.org/graft/")
            )
            plain = yaml.safe_load(ALERTS.read_text())
            if spec["groups"] not in (rules["groups"], plain["groups"]):
                faults.append(f"{name} has other rules than deploy/alerts/graft.yaml")
    for pod in pods:
        for kind, name in names_of(pod["spec"]):
            if (kind, name) not in there and name not in BEFOREHAND.get(kind, ()):
                faults.append(f"a pod names the {kind} {name}, which is not there")
