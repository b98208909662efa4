"""The whole stack as compose.yaml and compose/accounts.yaml describe it."""

from __future__ import annotations

import json
import re
import stat
import subprocess
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from bybit_exporter.config.schema import warnings_of

ROOT = Path(__file__).parent.parent.parent
SECRETS = "./compose/secrets/"

Yaml = dict[str, Any]


def read(path: str) -> Yaml:
    content: Yaml = yaml.safe_load((ROOT / path).read_text())
    return content


DEMO, ACCOUNTS = read("compose.yaml"), read("compose/accounts.yaml")
SERVICES: Yaml = DEMO["services"]

each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def mounts(service: Yaml) -> dict[str, str]:
    """What is mounted at each path of the container; read-only ones end in ``:ro``."""
    split = [volume.split(":", 2) for volume in service.get("volumes", ())]
    return {parts[1]: ":".join([parts[0], *parts[2:]]) for parts in split}


def environment(name: str) -> Yaml:
    """Of a service, with your own accounts."""
    return {**SERVICES[name]["environment"], **ACCOUNTS["services"][name]["environment"]}


@each_service
def test_a_service_can_change_nothing_but_its_data(service: Yaml) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "network_mode", "pid", "user"} & service.keys()


@each_service
def test_a_service_is_pinned_and_watched(service: Yaml) -> None:
    tag = service["image"].rpartition(":")[2]
    assert re.fullmatch(r"v?\d+\.\d+\.\d+", tag) or (tag == "local" and service["build"] == ".")
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"


def test_nothing_is_published_beyond_loopback() -> None:
    for service in (*SERVICES.values(), *ACCOUNTS["services"].values()):
        assert all(re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port) for port in service.get("ports", ()))
    assert all(service["ports"] for service in SERVICES.values())


def test_what_is_mounted_exists_and_is_read_only() -> None:
    for file in (DEMO, ACCOUNTS):
        for service in file["services"].values():
            for source in mounts(service).values():
                if source.startswith("./"):
                    assert source.endswith(":ro"), source
                    assert source.startswith(SECRETS) or (ROOT / source.removesuffix(":ro")).exists(), source
                else:
                    assert source in file["volumes"]


def test_no_invented_figure_stands_beside_a_real_one() -> None:
    """Whatever keeps data keeps that of the accounts elsewhere, under a name that is not the demo's."""
    for name, service in SERVICES.items():
        for path, volume in mounts(service).items():
            if not volume.startswith("./"):
                assert volume.startswith("demo-")
                assert mounts(ACCOUNTS["services"][name])[path] == volume.removeprefix("demo-")
    assert SERVICES["exporter"]["command"] == ["--demo"]
    assert ACCOUNTS["services"]["exporter"]["command"] == ["--config.file=/etc/bybit-exporter/config.yaml"]
    assert mounts(ACCOUNTS["services"]["exporter"]) == {"/etc/bybit-exporter": SECRETS + "exporter:ro"}


def test_the_demo_says_so_at_the_top_of_each_dashboard() -> None:
    at = "/etc/grafana/provisioning/datasources/prometheus.yaml"
    [demo] = read(mounts(SERVICES["grafana"])[at].removesuffix(":ro"))["datasources"]
    [real] = read(mounts(ACCOUNTS["services"]["grafana"])[at].removesuffix(":ro"))["datasources"]
    assert demo.pop("name") == "DEMO: every figure is invented"
    assert real.pop("name") == "Prometheus"
    assert demo == real


def test_secrets_are_files_that_git_never_sees() -> None:
    assert all(secret["file"].startswith(SECRETS) for secret in ACCOUNTS["secrets"].values())
    assert (ROOT / SECRETS / ".gitignore").read_text().splitlines()[1:] == ["*", "!.gitignore"]
    given = [name for service in ACCOUNTS["services"].values() for name in service.get("secrets", ())]
    assert sorted(given) == sorted(ACCOUNTS["secrets"])
    text = (ROOT / "alertmanager" / "alertmanager.yml").read_text()
    assert set(re.findall(r"/run/secrets/(\w+)", text)) == set(ACCOUNTS["services"]["alertmanager"]["secrets"])


def test_who_sees_real_figures_has_logged_in() -> None:
    demo, real = SERVICES["grafana"]["environment"], environment("grafana")
    assert (demo["GF_AUTH_ANONYMOUS_ENABLED"], demo["GF_AUTH_ANONYMOUS_ORG_ROLE"]) == ("true", "Viewer")
    assert demo["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert real["GF_AUTH_ANONYMOUS_ENABLED"] == real["GF_AUTH_DISABLE_LOGIN_FORM"] == "false"
    assert real["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "false"
    assert real["GF_SECURITY_ADMIN_PASSWORD__FILE"] == "/run/secrets/grafana_admin_password"
    assert not [name for name in real if "PASSWORD" in name and not name.endswith("__FILE")]


def test_grafana_leaves_the_plugins_of_its_image_alone() -> None:
    """At its start it would take Prometheus's plugin down for a newer one, which a read-only root does not let in."""
    assert environment("grafana")["GF_PLUGINS_PREINSTALL_DISABLED"] == "true"
    assert environment("grafana")["GF_PLUGINS_PREINSTALL_AUTO_UPDATE"] == "false"


def test_grafana_has_both_dashboards_and_begins_with_the_balances() -> None:
    mounted = mounts(SERVICES["grafana"])
    home = PurePosixPath(environment("grafana")["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert mounted[str(home.parent)] == "./grafana/dashboards:ro"
    assert (ROOT / "grafana" / "dashboards" / home.name).is_file()
    assert mounted["/etc/grafana/provisioning/dashboards"] == "./grafana/provisioning/dashboards:ro"
    [provider] = read("grafana/provisioning/dashboards/bybit.yaml")["providers"]
    assert provider["options"]["path"] == str(home.parent)


def test_the_services_find_each_other() -> None:
    prometheus = read("prometheus/prometheus.yml")
    [scraped] = prometheus["scrape_configs"]
    [notified] = prometheus["alerting"]["alertmanagers"]
    [datasource] = read("grafana/provisioning/datasources/prometheus.yaml")["datasources"]
    addresses = [*scraped["static_configs"][0]["targets"], *notified["static_configs"][0]["targets"]]
    for address in [*addresses, datasource["url"].removeprefix("http://")]:
        name, _, port = address.partition(":")
        assert SERVICES[name]["ports"][0].endswith(f":{port}")
    assert datasource["jsonData"]["timeInterval"] == prometheus["global"]["scrape_interval"]


def test_pair_differs_from_the_single_exporter_in_one_target_of_the_same_job() -> None:
    single, pair = read("prometheus/prometheus.yml"), read("compose/pair-prometheus.yml")
    [scraped] = pair["scrape_configs"]
    assert scraped["static_configs"] == [{"targets": ["exporter:9836", "exporter-2:9836"]}]
    scraped["static_configs"] = single["scrape_configs"][0]["static_configs"]
    assert pair == single
    second = read("compose/pair.yaml")["services"]["exporter-2"]
    for key in ("image", "restart", "read_only", "tmpfs", "cap_drop", "security_opt", "healthcheck"):
        assert second[key] == SERVICES["exporter"][key]


def test_the_exporter_is_asked_for_its_health_as_its_image_does() -> None:
    [command] = re.findall(r"HEALTHCHECK .*\\\n\s+CMD (.*)", (ROOT / "Dockerfile").read_text())
    assert SERVICES["exporter"]["healthcheck"]["test"] == ["CMD", *json.loads(command)]


def test_files_prepared_as_it_says_are_read_by_their_services_and_by_nobody_else(tmp_path: Path) -> None:
    """The exporter warns of secrets that everybody can read; the other services' users are not the files' owner."""
    secrets = tmp_path / "compose" / "secrets"
    exporter = [secrets / "exporter" / name for name in ("config.yaml", "api_key")]
    others = [secrets / Path(secret["file"]).name for secret in ACCOUNTS["secrets"].values()]
    for path in exporter + others:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o644)
    told = (ROOT / "compose" / "accounts.yaml").read_text()
    steps = re.findall(r"^#   ((?:sudo )?ch(?:mod|own) .*)$", told, re.MULTILINE)
    assert steps
    script = "\n".join(['sudo() { "$@"; }', "chown() { :; }", *steps])
    subprocess.run(["sh", "-euc", script], cwd=tmp_path, check=True)
    assert warnings_of(exporter) == []
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in others)
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
