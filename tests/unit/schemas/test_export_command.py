"""`copydesk schema export`."""

from __future__ import annotations

from schemas.export import FORMS, HERE, schema_of
from tests.support.servers import copydesk


def test_the_command_writes_the_contract_of_this_version(tmp_path):
    assert copydesk("schema", "export", "contract", cwd=tmp_path).returncode == 0
    folder = tmp_path / "contract"
    exported = {str(path.relative_to(folder)) for path in folder.rglob("*.*")}
    assert exported == {"asyncapi.yaml", *(f"json/{name}.json" for name in FORMS)}
    assert (folder / "asyncapi.yaml").read_text() == (HERE / "asyncapi.yaml").read_text()
    assert all((folder / "json" / f"{name}.json").read_text() == schema_of(name) for name in FORMS)
