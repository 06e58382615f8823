"""A missing server fails the test in CI and skips it elsewhere."""

import pytest

from tests.support.servers import missing


def test_a_missing_server_fails_the_test_in_ci(monkeypatch):
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="PgBouncer is missing, and CI must not skip: it is not installed"):
        missing("PgBouncer", "it is not installed")


def test_a_missing_server_skips_the_test_elsewhere(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="PgBouncer is missing: it is not installed"):
        missing("PgBouncer", "it is not installed")
