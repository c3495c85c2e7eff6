from pathlib import Path

import pytest

from exporter_testing.process import TESTS
from llm_monitor.base import catalogue, registry
from llm_monitor.node.metrics import FAMILIES

PAGE = TESTS.parent.parent.parent / "docs" / "metrics.md"


def test_the_page_in_the_repository_is_what_the_declarations_say() -> None:
    assert catalogue.main(["--check", str(PAGE)]) == 0


def test_a_page_that_differs_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "metrics.md"
    assert catalogue.main(["--check", str(page)]) == 1
    assert "make docs" in capsys.readouterr().err
    assert catalogue.main([str(page)]) == 0
    assert catalogue.main(["--check", str(page)]) == 0
    page.write_text(page.read_text() + "\n")
    assert catalogue.main(["--check", str(page)]) == 1


def test_every_family_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert catalogue.main(["--names"]) == 0
    listed = capsys.readouterr().out.split()
    assert {family.name for family in FAMILIES} <= set(listed)
    assert "llm_monitor_node_up" in listed
    assert len(set(listed)) == len(listed)


def test_every_exporter_names_its_metrics_after_itself() -> None:
    for exporter in registry.names():
        for family in catalogue.families(exporter):
            assert family.name.startswith((f"llm_monitor_{exporter}_", "container_"))


def test_wrong_arguments_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert catalogue.main([]) == 2
    assert "usage" in capsys.readouterr().err
