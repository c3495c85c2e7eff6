# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from ansible.errors import AnsibleError
from ansible_collections.llmops.monitoring.plugins.lookup.bundle_images import bundle_images
from ansible_collections.llmops.monitoring.plugins.lookup.dashboard_files import dashboard_files
from ansible_collections.llmops.monitoring.plugins.lookup.tree_hash import LookupModule, tree_hash


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("a")
    (tmp_path / "Dockerfile").write_text("FROM scratch")
    return tmp_path


def test_the_hash_is_the_same_for_the_same_files(folder: Path) -> None:
    assert tree_hash(folder) == tree_hash(folder)
    assert len(tree_hash(folder)) == 12


@pytest.mark.parametrize("path", ["src/a.py", "src/b.py", "Dockerfile", "new/deep/file"])
def test_a_changed_or_new_file_changes_the_hash(folder: Path, path: str) -> None:
    before = tree_hash(folder)
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text("changed")
    assert tree_hash(folder) != before


def test_a_renamed_file_changes_the_hash(folder: Path) -> None:
    before = tree_hash(folder)
    (folder / "src" / "a.py").rename(folder / "src" / "c.py")
    assert tree_hash(folder) != before


@pytest.mark.parametrize("path", ["tests/test_a.py", "src/__pycache__/a.pyc", "README.md", "src/x.egg-info/PKG-INFO"])
def test_what_is_no_part_of_an_image_does_not_count(folder: Path, path: str) -> None:
    before = tree_hash(folder)
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text("x")
    assert tree_hash(folder) == before


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(AnsibleError, match="nowhere is not a folder"):
        LookupModule().run([str(tmp_path / "nowhere")])


def bundle(path: Path, manifest: object) -> str:
    data = json.dumps(manifest).encode()
    with tarfile.open(path, "w") as archive:
        entry = tarfile.TarInfo("manifest.json")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return str(path)


def test_a_bundle_tells_what_each_image_is(tmp_path: Path) -> None:
    path = bundle(
        tmp_path / "b.tar",
        [
            {"RepoTags": ["llm-monitor/prometheus:v3.14.0", "docker.io/prom/prometheus:v3.14.0"]},
            {"RepoTags": ["llm-monitor/exporters:abc"]},
            {"RepoTags": None},
        ],
    )
    assert bundle_images(path) == {
        "prometheus": "llm-monitor/prometheus:v3.14.0",
        "exporters": "llm-monitor/exporters:abc",
    }


@pytest.mark.parametrize("content", [None, b"", b"no archive"])
def test_what_is_no_bundle_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "b.tar"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AnsibleError, match=r"b\.tar can't be read as a bundle"):
        bundle_images(str(path))


def test_an_archive_of_something_else_is_named(tmp_path: Path) -> None:
    path = tmp_path / "b.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("other"), io.BytesIO())
    with pytest.raises(AnsibleError, match=r"b\.tar can't be read as a bundle"):
        bundle_images(str(path))


def write_dashboard(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def test_dashboards_keep_their_folders_and_bytes(tmp_path: Path) -> None:
    write_dashboard(tmp_path / "system/b.json", '{"uid": "b", "title": "{{ B }}"}\n')
    write_dashboard(tmp_path / "llm/a.json", {"uid": "a", "title": "A"})
    write_dashboard(tmp_path / "build/theme.py", "no dashboard")
    write_dashboard(tmp_path / "loose.json", "no dashboard")
    found = dashboard_files(tmp_path)
    assert list(found) == ["dashboards/llm/a.json", "dashboards/system/b.json"]
    assert found["dashboards/system/b.json"] == '{"uid": "b", "title": "{{ B }}"}\n'
    assert dashboard_files(tmp_path / "nowhere") == {}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is no JSON"),
        ("[]", "needs a uid and a title"),
        ({"title": "A"}, "needs a uid"),
        ({"uid": "a"}, "a title"),
    ],
)
def test_what_is_no_dashboard_is_named(tmp_path: Path, content: object, words: str) -> None:
    write_dashboard(tmp_path / "system/bad.json", content)
    with pytest.raises(AnsibleError, match=words) as refusal:
        dashboard_files(tmp_path)
    assert "system/bad.json" in str(refusal.value)


def test_two_dashboards_of_one_uid_are_refused(tmp_path: Path) -> None:
    write_dashboard(tmp_path / "system/a.json", {"uid": "same", "title": "A"})
    write_dashboard(tmp_path / "llm/b.json", {"uid": "same", "title": "B"})
    with pytest.raises(AnsibleError, match=r"system/a\.json and .*llm/b\.json have the same uid 'same'"):
        dashboard_files(tmp_path)
