"""Objects against the schemas of their kinds; a field that no schema has is a fault."""

import warnings

import kubernetes_validate
from pydantic import ValidationError

# The oldest version that the chart takes, the one that it is rendered for, and the newest that there are schemas of.
VERSIONS = ("1.30", "1.33", "1.37")


def custom(kind: str):
    """The model of a kind that Kubernetes itself does not have. Loading them takes seconds: only those that are needed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "ScaledObject":
            from cloudcoil.models.keda import v1alpha1 as models
        else:
            from cloudcoil.models.prometheus_operator import v1 as models
    return getattr(models, kind)


CUSTOM = {
    "keda.sh/v1alpha1": ("ScaledObject",),
    "monitoring.coreos.com/v1": ("ServiceMonitor", "PrometheusRule"),
}


def lost(before, after, at: str) -> list[str]:
    """The fields that a model did not keep, which are those that it does not know."""
    if isinstance(before, dict):
        if not isinstance(after, dict):
            return [at]
        return [
            path
            for key, value in before.items()
            for path in (lost(value, after[key], f"{at}.{key}") if key in after else [f"{at}.{key}"])
        ]
    if isinstance(before, list):
        return [path for index, value in enumerate(before) for path in lost(value, after[index], f"{at}[{index}]")]
    return []


def check_schema(one: dict, faults: list[str]) -> None:
    """One object."""
    name = f"{one['kind']} {one['metadata']['name']}"
    if one["kind"] in CUSTOM.get(one["apiVersion"], ()):
        try:
            model = custom(one["kind"]).model_validate(one)
        except ValidationError as error:
            faults.append(f"{name}: {error}")
            return
        kept = model.model_dump(mode="json", by_alias=True, exclude_unset=True)
        faults += [f"{name}: {path} is no field" for path in lost(one, kept, "")]
        return
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(one, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            faults.append(f"{name}: {'.'.join(map(str, error.path))}: {error.message} (Kubernetes {version})")
        except kubernetes_validate.SchemaNotFoundError as error:
            faults.append(f"{name}: {error.message}")
