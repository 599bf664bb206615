"""Pods against the real programs, and against what a careful cluster asks of pods."""

import re
import subprocess
from pathlib import Path

import yaml

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

BINARIES = Path(__file__).resolve().parent.parent / "target/release"
# Flags that templates set by themselves; all others are settings.
OF_TEMPLATES = {
    "extractor": {
        "listen",
        "metrics-listen",
        "config",
        "log-format",
        "log-level",
        "drain-seconds",
        "provider",
        "tensorrt-cache",
    },
    "trainer": {
        "listen",
        "metrics-listen",
        "config",
        "log-format",
        "log-level",
        "drain-seconds",
        "extractor",
        "data-dir",
        "database-url",
        "artifacts",
        "artifacts-endpoint",
    },
}


def run(program: str, arguments: list[str]) -> subprocess.CompletedProcess:
    """A real program, which only reads its arguments and ends."""
    binary = BINARIES / program
    if not binary.is_file():
        raise SystemExit(f"chart: {binary} is not there: run `make build` first")
    return subprocess.run([binary, *arguments, "--help"], capture_output=True, text=True, timeout=30, env={})


def check_flags(schema: dict, faults: list[str]) -> None:
    """The chart's settings with the programs' flags, both ways."""
    for component, own in OF_TEMPLATES.items():
        real = set(re.findall(r"^ +(?:-\w, )?--([a-z-]+)", run(f"graft-{component}", []).stdout, re.M)) - {
            "help",
            "version",
        }
        told = set(schema["properties"][component]["properties"]["settings"]["properties"])
        faults += [f"values.schema.json: {component}.settings lacks {flag}" for flag in sorted(real - own - told)]
        faults += [
            f"values.schema.json: {component}.settings has {flag}, which is no flag" for flag in sorted(told - real)
        ]
        faults += [f"graft-{component} has no --{flag}, which the chart sets" for flag in sorted(own - real)]


def check_compose(faults: list[str]) -> None:
    """The commands of the compose files."""
    commands = []
    for path in sorted((BINARIES.parent.parent / "deploy").glob("compose*.yaml")):
        services = yaml.safe_load(path.read_text())["services"]
        commands += [
            (f"{path.name}, {name}", service["command"]) for name, service in services.items() if "command" in service
        ]
    for where, (program, *arguments) in commands:
        said = run(program, arguments)
        if said.returncode != 0:
            faults.append(f"{where}: {program} refuses its arguments: {said.stderr.strip()}")
    if len(commands) < 3:
        faults.append("deploy: compose files with commands are missing")


def settings_of(name: str, objects: list[dict]) -> list[str]:
    """The entries of a settings file, as arguments: so the program looks at their values, too."""
    settings = next(one for one in objects if (one["kind"], one["metadata"]["name"]) == ("ConfigMap", name))
    return [f"--{flag}={value}" for flag, value in tomllib.loads(settings["data"]["settings.toml"]).items()]


def check_pod(deployment: dict, objects: list[dict], faults: list[str]) -> None:
    """The pod of a deployment."""
    name, spec = deployment["metadata"]["name"], deployment["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    (program,) = container["command"]
    arguments = [argument for argument in container["args"] if not argument.startswith("--config=")]
    variables = {variable["name"] for variable in container.get("env", [])}
    if "GRAFT_TRAINER_DATABASE_URL" in variables:
        arguments.append("--database-url=postgres://graft:secret@db/graft")
    settings = next(volume["configMap"]["name"] for volume in spec["volumes"] if "configMap" in volume)
    said = run(program, arguments + settings_of(settings, objects))
    if said.returncode != 0:
        faults.append(f"{name}: {program} refuses its arguments: {said.stderr.strip()}")
    # The program only looks at values that come before --help. That it does is seen by one that is wrong.
    if run(program, ["--drain-seconds=soon"]).returncode == 0:
        faults.append(f"{program} takes --drain-seconds=soon: this check checks nothing")
    careful(name, spec, container, faults)


def careful(name: str, spec: dict, container: dict, faults: list[str]) -> None:
    """What the restricted profile of Kubernetes asks, and more."""
    drain = next(
        int(argument.split("=")[1]) for argument in container["args"] if argument.startswith("--drain-seconds=")
    )
    sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    ports = {port["containerPort"] for port in container["ports"]}
    wanted = {
        "runs as root": spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["runAsUser"] > 0,
        "has no seccomp profile": spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault",
        "has the API server's token": spec["automountServiceAccountToken"] is False,
        "has the variables of services": spec["enableServiceLinks"] is False,
        "may gain privileges": container["securityContext"]["allowPrivilegeEscalation"] is False,
        "can write to its image": container["securityContext"]["readOnlyRootFilesystem"] is True,
        "has capabilities": container["securityContext"]["capabilities"] == {"drop": ["ALL"]},
        "has no bound of memory": "memory" in container["resources"]["limits"],
        "is killed before it has drained": spec["terminationGracePeriodSeconds"] > sleep + drain,
        "is probed at a port that it has not": all(
            container[f"{probe}Probe"]["grpc"]["port"] in ports for probe in ("startup", "readiness", "liveness")
        ),
    }
    faults += [f"{name} {fault}" for fault, fine in wanted.items() if not fine]
