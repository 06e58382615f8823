"""The alert rules, the dashboard and the documentation use the metrics of the endpoint, and no others."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from worker.telemetry.metrics import METRICS, documentation

DEPLOY = Path(__file__).parents[3] / "worker" / "deploy"
NAMES = {metric.name for metric in METRICS}
RULES = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
PANELS = json.loads((DEPLOY / "grafana/copydesk.json").read_text())["panels"]


HISTOGRAMS = {metric.name for metric in METRICS if metric.kind == "histogram"}


def _metrics_in(expression):
    """Return the metrics that an expression uses; a histogram has three series in Prometheus."""
    found = set(re.findall(r"copydesk_\w+", expression))
    parts = {f"{name}_{part}": name for name in HISTOGRAMS for part in ("bucket", "count", "sum")}
    return {parts.get(name, name) for name in found}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_each_alert_rule_uses_existing_metrics(rule):
    assert _metrics_in(rule["expr"]) <= NAMES


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_each_panel_uses_existing_metrics(panel):
    used = set().union(*(_metrics_in(target["expr"]) for target in panel["targets"]))
    assert used
    assert used <= NAMES


def test_every_metric_is_on_the_dashboard_or_in_a_rule():
    shown = _metrics_in(json.dumps(PANELS)) | _metrics_in(json.dumps(RULES))

    assert shown == NAMES


def test_each_alert_is_named_in_the_runbook():
    runbook = (DEPLOY / "RUNBOOK.md").read_text("utf-8")
    named = set(re.findall(r"Copydesk[A-Z]\w+", runbook.partition("## Alerts of Prometheus")[2]))

    assert named == {rule["alert"] for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_leads_to_a_heading_of_the_runbook(rule):
    headings = re.findall(r"^#+ (.*)$", (DEPLOY / "RUNBOOK.md").read_text("utf-8"), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}

    assert rule["annotations"]["runbook"] in anchors


def test_the_healthy_case_is_tested_against_each_alert():
    healthy = yaml.safe_load((DEPLOY / "prometheus/alerts_test.yml").read_text())["tests"][0]

    assert {case["alertname"] for case in healthy["alert_rule_test"]} == {rule["alert"] for rule in RULES}
    assert not any(case["exp_alerts"] for case in healthy["alert_rule_test"])


def test_the_page_has_the_list_of_metrics():
    assert documentation() in (DEPLOY / "METRICS.md").read_text("utf-8")


def test_promtool_accepts_the_rules_and_their_tests_pass():
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus), and cannot be had from PyPI")
    folder = DEPLOY / "prometheus"
    for arguments in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run([promtool, *arguments], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_a_test():
    tests = yaml.safe_load((DEPLOY / "prometheus/alerts_test.yml").read_text())["tests"]
    raised = {case["alertname"] for test in tests for case in test["alert_rule_test"] if case["exp_alerts"]}

    assert raised == {rule["alert"] for rule in RULES}
