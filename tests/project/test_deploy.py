"""What deploy/ ships is what systemd, Kubernetes and Prometheus accept, and what the exporter reads."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from bybit_exporter.metrics.account_families import ACCOUNT_FAMILIES
from bybit_exporter.metrics.exporter_families import EXPORTER_FAMILIES
from bybit_exporter.polling.worker_pool import MAX_WORKERS
from tests.exporter_process import ROOT
from tests.support import require_real

DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "systemd" / "bybit-exporter.service"
KUBERNETES = DEPLOY / "kubernetes"
KUSTOMIZATIONS = sorted(path.parent for path in KUBERNETES.rglob("kustomization.yaml"))
CONFIGURATIONS = sorted(KUBERNETES.rglob("config.yaml"))
OPERATOR = KUBERNETES / "components" / "prometheus-operator"
SHARDS = KUBERNETES / "components" / "shards"
EXAMPLES = [KUBERNETES / "example", KUBERNETES / "example-shards"]
SECRETS = "/run/secrets/bybit-exporter"

OLDEST_KUBERNETES = "1.27"


def run(*command: str | Path, expected: int = 0) -> str:
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == expected, done.stdout
    return done.stdout


# systemd


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The root of a file system on which the unit is installed, and which has what it starts."""
    unit = tmp_path / "etc/systemd/system" / UNIT.name
    programs = [tmp_path / path for path in ("opt/bybit-exporter/bin/bybit-exporter", "bin/sh")]
    for path in (unit, *programs):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o755)
    unit.chmod(0o644)
    unit.write_text(UNIT.read_text())
    shutil.copytree("/usr/lib/systemd/system", tmp_path / "usr/lib/systemd/system", symlinks=True)
    return tmp_path


@pytest.fixture
def systemd() -> None:
    require_real(shutil.which("systemd-analyze") is not None, "systemd (Debian)")


def test_the_unit_and_the_image_have_one_arena_for_all_threads() -> None:
    """Otherwise what one thread has freed is of no use to the others: 82 MB instead of 73 with a thousand accounts."""
    assert "\nEnvironment=MALLOC_ARENA_MAX=1\n" in UNIT.read_text()
    assert " MALLOC_ARENA_MAX=1\n" in (ROOT / "Dockerfile").read_text()


@pytest.mark.parametrize(
    ("path", "setting"),
    [("deploy/systemd/bybit-exporter.service", r"TasksMax=(\d+)"), ("docs/deployment.md", r"--pids-limit (\d+)")],
)
def test_limit_of_threads_is_clearly_above_that_of_workers(path: str, setting: str) -> None:
    """At the limit, no password could be checked any more, and no page rendered: idle workers never end."""
    limits = re.findall(setting, (ROOT / path).read_text())
    assert limits
    assert all(int(limit) >= MAX_WORKERS + 128 for limit in limits)


@pytest.mark.usefixtures("systemd")
def test_systemd_has_nothing_to_say_about_the_unit(installed: Path) -> None:
    assert run("systemd-analyze", "verify", "--man=no", f"--root={installed}", UNIT.name) == ""


@pytest.mark.usefixtures("systemd")
def test_systemd_finds_little_exposed() -> None:
    run("systemd-analyze", "security", "--offline=true", "--threshold=19", "--no-pager", UNIT)


# Kubernetes


def kustomization(directory: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((directory / "kustomization.yaml").read_text())
    return document


def objects(directory: Path) -> list[dict[str, Any]]:
    return [
        yaml.safe_load((directory / name).read_text())
        for name in kustomization(directory)["resources"]
        if (directory / name).is_file()
    ]


def the(kind: str) -> dict[str, Any]:
    """The one object of its kind, in the base or in the component."""
    found = [thing for directory in (KUBERNETES / "base", OPERATOR) for thing in objects(directory)]
    (only,) = (thing for thing in found if thing["kind"] == kind)
    return only


def stateful_set() -> dict[str, Any]:
    (only,) = (thing for thing in objects(SHARDS) if thing["kind"] == "StatefulSet")
    return dict(only)


def pod() -> dict[str, Any]:
    template: dict[str, Any] = the("Deployment")["spec"]["template"]
    return template


def container() -> dict[str, Any]:
    (only,) = pod()["spec"]["containers"]
    return dict(only)


def test_there_are_a_base_its_components_and_examples() -> None:
    assert [str(path.relative_to(KUBERNETES)) for path in KUSTOMIZATIONS] == [
        "base",
        "components/prometheus-operator",
        "components/shards",
        "example",
        "example-shards",
    ]


@pytest.mark.parametrize("directory", KUSTOMIZATIONS, ids=lambda path: path.name)
def test_a_kustomization_names_exactly_the_files_there_are(directory: Path) -> None:
    named = kustomization(directory)
    generated = [file for generator in named.get("configMapGenerator", []) for file in generator["files"]]
    resolved = {(directory / name).resolve() for name in named["resources"] + named.get("components", []) + generated}
    beside = {path.resolve() for path in directory.iterdir()} - {(directory / "kustomization.yaml").resolve()}
    elsewhere = resolved - beside
    assert beside <= resolved
    assert all((path / "kustomization.yaml").is_file() for path in elsewhere)


@pytest.mark.parametrize("version", [OLDEST_KUBERNETES, kubernetes_validate.latest_version()])
@pytest.mark.parametrize("directory", KUSTOMIZATIONS, ids=lambda path: path.name)
def test_kubernetes_knows_every_field(directory: Path, version: str) -> None:
    for thing in objects(directory):
        if not thing["apiVersion"].startswith("monitoring.coreos.com/"):
            kubernetes_validate.validate(thing, version, strict=True)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_the_example_is_rendered(example: Path) -> None:
    """With the kubectl at hand, if it is new enough for components. Debian 12 has none that is."""
    if shutil.which("kubectl") is None or "Kustomize Version: v5" not in run("kubectl", "version", "--client"):
        pytest.skip("needs kubectl 1.27 or newer")
    rendered = list(yaml.safe_load_all(run("kubectl", "kustomize", example)))
    kinds = "Namespace ServiceAccount ConfigMap Service NetworkPolicy PodMonitor PrometheusRule "
    kinds += "Deployment" if example.name == "example" else "StatefulSet PodDisruptionBudget"
    assert sorted(thing["kind"] for thing in rendered) == sorted(kinds.split())
    assert {thing["metadata"].get("namespace", thing["metadata"]["name"]) for thing in rendered} == {"bybit-exporter"}
    (config,) = (thing for thing in rendered if thing["kind"] == "ConfigMap")
    assert config["data"]["config.yaml"] == (example / "config.yaml").read_text()
    (workload,) = (thing["spec"] for thing in rendered if thing["kind"] in ("Deployment", "StatefulSet"))
    assert config["metadata"]["name"] in str(workload["template"]["spec"]["volumes"])
    (inner,) = workload["template"]["spec"]["containers"]
    assert inner["image"].startswith("registry.example/")
    if example.name == "example-shards":
        assert workload["replicas"] == 4
        assert inner["env"] == [{"name": "TOTAL_SHARDS", "value": "4"}]


def test_the_pod_keeps_to_the_restricted_profile() -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    whole, inner = pod()["spec"]["securityContext"], container()["securityContext"]
    assert whole["runAsNonRoot"] is True
    assert whole["runAsUser"] == whole["runAsGroup"] == whole["fsGroup"] == 65532
    assert whole["seccompProfile"] == {"type": "RuntimeDefault"}
    assert inner == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {kind for volume in pod()["spec"]["volumes"] for kind in volume} == {"name", "configMap", "secret"}
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & pod()["spec"].keys()
    assert pod()["spec"]["automountServiceAccountToken"] is False


def test_the_user_is_the_images() -> None:
    assert "\nUSER 65532:65532\n" in (ROOT / "Dockerfile").read_text()


def test_there_is_never_a_second_poller() -> None:
    spec = the("Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_a_shard_is_the_base_s_pod_with_its_share() -> None:
    template = stateful_set()["spec"]["template"]
    (inner,) = template["spec"]["containers"]
    (spread,) = template["spec"].pop("topologySpreadConstraints")
    assert spread["labelSelector"]["matchLabels"] == pod()["metadata"]["labels"]
    assert inner.pop("env") == [{"name": "TOTAL_SHARDS", "value": str(stateful_set()["spec"]["replicas"])}]
    assert inner["args"] == [*container()["args"], "--shard=auto", "--total-shards=$(TOTAL_SHARDS)"]
    inner["args"] = container()["args"]
    assert template == pod()


def test_shards_are_numbered_and_named_by_a_service_that_does_not_choose_among_them() -> None:
    spec = stateful_set()["spec"]
    assert (spec["serviceName"], spec["podManagementPolicy"]) == (the("Service")["metadata"]["name"], "Parallel")
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    (budget,) = (thing["spec"] for thing in objects(SHARDS) if thing["kind"] == "PodDisruptionBudget")
    assert budget["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    assert budget["maxUnavailable"] == 1
    patches = {patch["kind"]: patch for patch in map(yaml.safe_load, inline_patches(SHARDS))}
    assert patches["Deployment"] == {**identity(the("Deployment")), "$patch": "delete"}
    headless = {"clusterIP": "None", "publishNotReadyAddresses": True}
    assert patches["Service"] == {**identity(the("Service")), "spec": headless}


def inline_patches(directory: Path) -> list[str]:
    return [patch["patch"] for patch in kustomization(directory)["patches"]]


def identity(thing: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": thing["apiVersion"], "kind": thing["kind"], "metadata": {"name": thing["metadata"]["name"]}}


def test_how_many_shards_there_are_stands_in_one_place() -> None:
    document = kustomization(KUBERNETES / "example-shards")
    assert [each["name"] for each in document["replicas"]] == [stateful_set()["metadata"]["name"]]
    (copied,) = document["replacements"]
    assert (copied["source"]["kind"], copied["source"]["fieldPath"]) == ("StatefulSet", "spec.replicas")
    (target,) = copied["targets"]
    assert target["select"] == {key: copied["source"][key] for key in ("kind", "name")}
    (path,) = target["fieldPaths"]
    assert value_at(stateful_set(), path) == "2"
    config = yaml.safe_load((KUBERNETES / "example-shards" / "config.yaml").read_text())
    assert config["api"]["max_requests_per_second"] * document["replicas"][0]["count"] == 100


def value_at(thing: Any, path: str) -> Any:
    """What stands at a field path of kustomize: https://kubectl.docs.kubernetes.io/references/kustomize/"""
    for step in path.split("."):
        if step.startswith("["):
            key, _, value = step.strip("[]").partition("=")
            (thing,) = (each for each in thing if each[key] == value)
        else:
            thing = thing[step]
    return thing


def test_everything_selects_the_pod_and_its_port() -> None:
    labels, (port,) = pod()["metadata"]["labels"], container()["ports"]
    assert the("Deployment")["spec"]["selector"]["matchLabels"] == labels
    assert the("Service")["spec"]["selector"] == labels
    assert the("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == labels
    assert the("PodMonitor")["spec"]["selector"]["matchLabels"] == labels
    assert port == {"name": "metrics", "containerPort": 9836}
    assert the("Service")["spec"]["ports"][0]["targetPort"] == "metrics"
    assert the("NetworkPolicy")["spec"]["ingress"][0]["ports"] == [{"port": "metrics"}]
    assert [endpoint["port"] for endpoint in the("PodMonitor")["spec"]["podMetricsEndpoints"]] == ["metrics"]
    probes = {kind: container()[kind]["httpGet"] for kind in ("livenessProbe", "readinessProbe")}
    assert probes == {
        "livenessProbe": {"path": "/-/healthy", "port": "metrics"},
        "readinessProbe": {"path": "/-/ready", "port": "metrics"},
    }


def test_no_label_of_the_operator_takes_the_place_of_one_of_ours() -> None:
    """Prometheus renames a scraped label that the target has too, which alerts and dashboards would not find."""
    (endpoint,) = the("PodMonitor")["spec"]["podMetricsEndpoints"]
    dropped = {rule["regex"] for rule in endpoint["relabelings"] if rule["action"] == "labeldrop"}
    of_the_target = {"namespace", "pod", "container", "endpoint", "job", "instance"} - dropped
    ours = {
        label for families in (ACCOUNT_FAMILIES, EXPORTER_FAMILIES) for family in families for label in family.labels
    }
    assert "account" in ours
    assert not ours & of_the_target


def test_only_prometheus_gets_in_and_only_the_internet_is_reached() -> None:
    policy = the("NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    (ingress,) = policy["ingress"]
    (source,) = ingress["from"]
    assert source.keys() == {"namespaceSelector", "podSelector"}, "both at once, not one or the other"
    names, internet = policy["egress"]
    assert {port["port"] for port in names["ports"]} == {53}
    assert internet["ports"] == [{"port": 443, "protocol": "TCP"}]
    assert all(block["ipBlock"]["except"] for block in internet["to"])


@pytest.mark.usefixtures("private_files")
@pytest.mark.parametrize("config", CONFIGURATIONS, ids=lambda path: path.parent.name)
def test_the_exporter_takes_the_flags_and_the_configuration(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (secrets,) = (mount for mount in container()["volumeMounts"] if mount["name"] == "secrets")
    assert secrets["mountPath"] == SECRETS
    text = config.read_text()
    for account in yaml.safe_load(text)["accounts"]:
        for key in ("api_key_file", "api_secret_file"):
            (tmp_path / Path(account[key]).name).write_text("made-up\n")
    here = tmp_path / "config.yaml"
    here.write_text(text.replace(SECRETS, str(tmp_path)))
    (shard,) = stateful_set()["spec"]["template"]["spec"]["containers"]
    monkeypatch.setenv("POD_NAME", f"{stateful_set()['metadata']['name']}-1")
    for flags in (container()["args"], [flag.replace("$(TOTAL_SHARDS)", "2") for flag in shard["args"]]):
        command = [sys.executable, ROOT / "exporter.py", *flags, "--check-config", f"--config.file={here}"]
        assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "ok\n"


def test_operator_rules_are_the_alerts() -> None:
    rule = yaml.safe_load((OPERATOR / "prometheusrule.yaml").read_text())
    assert rule["spec"] == yaml.safe_load((ROOT / "prometheus" / "alerts.yml").read_text())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_the_example_has_the_images_version(example: Path) -> None:
    from bybit_exporter import __version__

    assert container()["image"] == f"bybit-exporter:{__version__}"
    assert [image["newTag"] for image in kustomization(example)["images"]] == [__version__]


# Prometheus


def test_prometheus_takes_the_scrape_configuration(tmp_path: Path) -> None:
    require_real(shutil.which("promtool") is not None, "prometheus (Debian)")
    shutil.copy(DEPLOY / "prometheus" / "scrape.yml", tmp_path)
    (tmp_path / "bybit-exporter-ca.pem").touch()
    (tmp_path / "bybit-exporter-password").touch()
    assert "SUCCESS" in run("promtool", "check", "config", tmp_path / "scrape.yml")
    (job,) = yaml.safe_load((tmp_path / "scrape.yml").read_text())["scrape_configs"]
    assert job["scheme"] == "https"
    assert {"ca_file"} <= job["tls_config"].keys()
    assert job["basic_auth"].keys() == {"username", "password_file"}
