"""The Helm chart, rendered by Helm's own library, has what the kustomization has."""

from __future__ import annotations

import importlib
import importlib.util
import re
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from bybit_exporter import __version__
from bybit_exporter.config import load
from tests.support import require_real

DEPLOY = Path(__file__).parents[2] / "deploy"
CHART = DEPLOY / "helm" / "bybit-exporter"
BASE = DEPLOY / "kubernetes" / "base"
OPERATOR = DEPLOY / "kubernetes" / "components" / "prometheus-operator"
WITH_OPERATOR = {"prometheusOperator": {"enabled": True}}
INSTANCE = "app.kubernetes.io/instance"

Objects = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def helm() -> Any:
    require_real(importlib.util.find_spec("helm_python") is not None, ".venv/bin/pip install -r tests/helm.lock")
    library = importlib.import_module("helm_python")
    library.disable_logging()
    return library


def render(helm: Any, values: dict[str, Any], release: str = "bybit-exporter") -> Objects:
    """The objects by their kind."""
    with helm.Chart.load(str(CHART)) as chart:
        chart.validate_schema(values)
        files = chart.render(values, name=release, namespace="bybit-exporter")
    documents = [yaml.safe_load(text) for name, text in files.items() if name.endswith(".yaml")]
    return {document["kind"]: document for document in documents if document}


def shipped(directory: Path) -> Objects:
    documents = [yaml.safe_load(path.read_text()) for path in directory.glob("*.yaml")]
    return {thing["kind"]: thing for thing in documents if "metadata" in thing}


def comparable(thing: Any) -> Any:
    """Without what only a chart has: the release, the scheme, and how it notices a changed configuration."""
    if isinstance(thing, dict):
        own = {INSTANCE, "annotations", "imagePullPolicy", "scheme"}
        return {key: comparable(value) for key, value in thing.items() if key not in own}
    return [comparable(each) for each in thing] if isinstance(thing, list) else thing


def test_chart_has_the_objects_of_the_kustomization(helm: Any) -> None:
    rendered = render(helm, WITH_OPERATOR)
    config = rendered.pop("ConfigMap")
    assert yaml.safe_load(config["data"]["config.yaml"]) == yaml.safe_load((BASE / "config.yaml").read_text())
    expected = {**shipped(BASE), **shipped(OPERATOR)}
    expected["PrometheusRule"]["metadata"]["labels"] = {"app.kubernetes.io/name": "bybit-exporter"}
    assert set(rendered) == set(expected)
    for kind, thing in expected.items():
        assert comparable(rendered[kind]["metadata"]) == thing["metadata"], kind
        if kind == "PrometheusRule":  # its descriptions have labels and annotations of their own
            assert rendered[kind].get("spec") == thing["spec"]
        else:
            assert comparable(rendered[kind]) == thing, kind


def test_chart_names_and_selects_by_its_release(helm: Any) -> None:
    rendered = render(helm, WITH_OPERATOR, release="treasury")
    assert {thing["metadata"]["name"] for thing in rendered.values()} == {"treasury"}
    pod = rendered["Deployment"]["spec"]["template"]
    labels = pod["metadata"]["labels"]
    assert labels == {"app.kubernetes.io/name": "bybit-exporter", INSTANCE: "treasury"}
    assert rendered["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert rendered["Service"]["spec"]["selector"] == labels
    assert rendered["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    assert rendered["PodMonitor"]["spec"]["selector"]["matchLabels"] == labels
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    assert volumes["config"]["configMap"]["name"] == rendered["ConfigMap"]["metadata"]["name"]
    assert pod["spec"]["serviceAccountName"] == rendered["ServiceAccount"]["metadata"]["name"]


@pytest.mark.parametrize("version", ["1.27", kubernetes_validate.latest_version()])
def test_kubernetes_knows_every_field_of_the_chart(helm: Any, version: str) -> None:
    values = {
        "image": {"tag": "sha256:" + "0" * 64},
        "imagePullSecrets": [{"name": "registry"}],
        "extraArgs": ["--log.level=debug"],
        "nodeSelector": {"kubernetes.io/arch": "arm64"},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
    }
    rendered = render(helm, values)
    assert set(rendered) == {"ConfigMap", "Deployment", "NetworkPolicy", "Service", "ServiceAccount"}
    for thing in rendered.values():
        kubernetes_validate.validate(thing, version, strict=True)
    spec = rendered["Deployment"]["spec"]["template"]["spec"]
    assert spec["containers"][0]["image"] == f"bybit-exporter@sha256:{'0' * 64}"
    assert spec["containers"][0]["args"] == ["--log.format=json", "--log.level=debug"]


def test_tls_as_documented_reaches_probes_and_prometheus(helm: Any) -> None:
    document = (DEPLOY.parent / "docs" / "deployment.md").read_text()
    (text,) = re.findall(r"<!-- helm-tls -->\n\n```yaml\n(.*?)```", document, re.DOTALL)
    values = yaml.safe_load(text)
    rendered = render(helm, values)
    kubernetes_validate.validate(rendered["Deployment"], "1.27", strict=True)
    (container,) = rendered["Deployment"]["spec"]["template"]["spec"]["containers"]
    (mount,) = [each["mountPath"] for each in container["volumeMounts"] if each["name"] == "secrets"]
    assert container["args"][-1] == f"--web.config.file={mount}/web.yaml"
    probe = {"port": "metrics", "scheme": "HTTPS"}
    assert container["livenessProbe"]["httpGet"] == {"path": "/-/healthy", **probe}
    assert container["readinessProbe"]["httpGet"] == {"path": "/-/ready", **probe}
    (endpoint,) = rendered["PodMonitor"]["spec"]["podMetricsEndpoints"]
    given = values["prometheusOperator"]
    assert {key: endpoint[key] for key in ("scheme", "tlsConfig", "basicAuth")} == {
        key: given[key] for key in ("scheme", "tlsConfig", "basicAuth")
    }


def test_probes_with_client_certificates_can_be_tcp(helm: Any) -> None:
    tcp = {"httpGet": None, "tcpSocket": {"port": "metrics"}}
    rendered = render(helm, {"livenessProbe": tcp, "readinessProbe": tcp})["Deployment"]
    kubernetes_validate.validate(rendered, "1.27", strict=True)
    (container,) = rendered["spec"]["template"]["spec"]["containers"]
    for probe in (container["livenessProbe"], container["readinessProbe"]):
        assert "httpGet" not in probe
        assert probe["tcpSocket"] == {"port": "metrics"}


def test_changed_configuration_restarts_the_pod(helm: Any) -> None:
    def checksum(values: dict[str, Any]) -> str:
        return str(render(helm, values)["Deployment"]["spec"]["template"]["metadata"]["annotations"]["checksum/config"])

    assert checksum({}) == checksum(WITH_OPERATOR) != checksum({"config": {"poll_interval": "1m"}})


@pytest.mark.parametrize("key", ["api_key", "api_secret"])
def test_secret_in_the_configuration_is_refused(helm: Any, key: str) -> None:
    with pytest.raises(Exception, match="would stand in a ConfigMap") as refused:
        render(helm, {"config": {"accounts": [{"name": "main", key: "CANARY"}]}})
    assert "CANARY" not in str(refused.value)


@pytest.mark.parametrize("account", ["name: main, coins: [BTC, NO]", "name: 007"])
def test_name_that_helm_reads_as_something_else_is_refused(helm: Any, account: str) -> None:
    with pytest.raises(Exception, match="want string"):
        render(helm, helm.values_from_yaml(f"config: {{accounts: [{{{account}}}]}}"))


def test_quoted_name_reaches_the_exporter(helm: Any, tmp_path: Path) -> None:
    account = 'name: "007", account_type: SPOT, coins: [BTC, "NO"]'
    rendered = render(helm, helm.values_from_yaml(f"config: {{accounts: [{{{account}}}]}}"))
    (tmp_path / "config.yaml").write_text(rendered["ConfigMap"]["data"]["config.yaml"])
    (read,) = load(tmp_path / "config.yaml", {"BYBIT_API_KEY": "k", "BYBIT_API_SECRET": "s"}).accounts
    assert (read.name, read.coins) == ("007", ("BTC", "NO"))


def test_misspelt_value_is_refused(helm: Any) -> None:
    with pytest.raises(Exception, match="not allowed"):
        render(helm, {"prometheusOperater": {"enabled": True}})


def test_chart_satisfies_helm_lint(helm: Any) -> None:
    result = helm.lint(str(CHART))
    assert result["errors"] == []
    assert [message for message in result["messages"] if message["severity"] > 1] == []


def test_chart_has_the_exporter_s_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
    assert chart["version"] == chart["appVersion"] == __version__
