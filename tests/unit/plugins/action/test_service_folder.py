"""The controller's side of service_folder, by a real ansible-playbook over a temporary tree."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[4]


class Play:
    """A playbook with one task of service_folder, and what it did."""

    def __init__(self, folder: Path, ansible_playbook: Any) -> None:
        self.folder = folder
        self.ansible_playbook = ansible_playbook
        self.base = folder / "llm-monitor"
        self.templates = folder / "templates/demo"
        self.options: dict[str, Any] = {"name": "demo", "dir": str(self.base), "src": "demo", "mount": "/etc/demo"}
        self.variables: dict[str, Any] = {"greeting": "hello"}

    def template(self, path: str, content: str) -> None:
        target = self.templates / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)

    def run(self, *arguments: str, passes: bool = True) -> str:
        copy = {"content": "{{ result | to_json }}", "dest": str(self.folder / "result.json")}
        play = {
            "hosts": "localhost",
            "vars": {**self.variables, "ansible_python_interpreter": sys.executable},
            "tasks": [
                {"llmops.monitoring.service_folder": self.options, "register": "result"},
                {"ansible.builtin.copy": copy, "check_mode": False, "diff": False},
            ],
        }
        done = self.ansible_playbook(play, "-i", "localhost,", "-c", "local", *arguments)
        output: str = done.stdout + done.stderr
        assert (done.returncode == 0) == passes, output
        return output

    @property
    def result(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "result.json").read_text())
        return found

    def read(self, path: str) -> str:
        return (self.base / path).read_text()


@pytest.fixture
def play(tmp_path: Path, ansible_playbook: Any) -> Play:
    play = Play(tmp_path, ansible_playbook)
    play.template("compose.yaml.j2", "services:\n  demo:\n    labels: {hash: '{{ service_config_hash }}'}\n")
    play.template("demo.yml.j2", "greeting: {{ greeting }}\n{% if true %}\nkept: yes\n{% endif %}\n")
    play.template("rules/raw.yml", "text: {{ $labels.instance }}\n")
    return play


def test_templates_are_rendered_and_other_files_copied(play: Play) -> None:
    play.template("macros/m.j2", "{% macro twice(x) %}{{ x }}{{ x }}{% endmacro %}\n")
    play.template("uses.yml.j2", "{% from 'macros/m.j2' import twice %}\nx: {{ twice(greeting) }}\n")
    play.options["files"] = {"rules/more.json": "{{ [greeting] | to_nice_json }}", "rules/raw.yml": "replaced\n"}
    play.run()
    assert play.read("demo/demo.yml") == "greeting: hello\nkept: yes\n"
    assert play.read("demo/rules/raw.yml") == "replaced\n"
    assert play.read("demo/uses.yml") == "x: hellohello\n"
    assert json.loads(play.read("demo/rules/more.json")) == ["hello"]
    assert not (play.base / "demo/compose.yaml.j2").exists()


def test_files_without_the_suffix_are_not_rendered(play: Play) -> None:
    play.run()
    assert play.read("demo/rules/raw.yml") == "text: {{ $labels.instance }}\n"


def config_hash(play: Play) -> str:
    found = re.search(r"hash: '([0-9a-f]{64})'", play.read("demo/compose.yaml"))
    assert found
    return found[1]


def test_the_hash_follows_files_and_secrets(play: Play) -> None:
    play.options["secrets"] = {"token": "one"}
    play.run()
    seen = [config_hash(play)]
    play.run()
    assert config_hash(play) == seen[0]
    play.options["secrets"] = {"token": "two"}
    play.run()
    seen.append(config_hash(play))
    play.options["files"] = {"rules/more.json": "[]"}
    play.run()
    seen.append(config_hash(play))
    play.variables["greeting"] = "good evening"
    play.run()
    seen.append(config_hash(play))
    assert len(set(seen)) == len(seen)


def test_a_second_run_changes_nothing(play: Play) -> None:
    assert "changed=2" in play.run()
    play.run()
    assert not play.result["changed"]
    assert play.result["action"] == "recreate"


def test_check_and_diff_mode_show_the_change_and_write_nothing(play: Play) -> None:
    play.options["secrets"] = {"token": "s3cr3t-of-the-exporters"}
    output = play.run("--check", "--diff", "-vvv")
    assert "+greeting: hello" in output
    assert "token is new" in output
    assert "s3cr3t-of-the-exporters" not in output
    assert not play.base.exists()


def test_a_template_error_names_file_and_line(play: Play) -> None:
    play.template("rules/broken.yml.j2", "one: 1\ntwo: {{ not_defined_anywhere }}\n")
    output = play.run(passes=False)
    assert "'not_defined_anywhere' is undefined" in output
    assert f"{play.templates}/rules/broken.yml.j2:2" in output
    assert not play.base.exists()


def test_an_error_while_rendering_names_file_and_line(play: Play) -> None:
    play.template("rules/broken.yml.j2", "one: 1\n\n{% for a in [0] %}\ntwo: {{ 1 / a }}\n{% endfor %}\n")
    output = play.run(passes=False)
    assert f"{play.templates}/rules/broken.yml.j2:4: " in output


def test_a_syntax_error_names_file_and_line(play: Play) -> None:
    play.template("rules/broken.yml.j2", "one: 1\ntwo: {% if %}\n")
    output = play.run(passes=False)
    assert f"{play.templates}/rules/broken.yml.j2:2" in output


def test_a_template_that_is_no_text_is_named(play: Play) -> None:
    play.template("list.json.j2", "{{ [1, 2] }}")
    output = play.run(passes=False)
    assert "list.json.j2 renders to data, not to text" in output


def test_a_service_without_templates_is_named(play: Play) -> None:
    play.options.pop("src")
    play.options["name"] = "no-such-service"
    output = play.run(passes=False)
    assert f"{REPOSITORY}/templates/no-such-service" in output.replace(
        "/collections/ansible_collections/llmops/monitoring", ""
    )


def test_a_vaulted_secret_arrives_in_the_clear_and_is_not_shown(play: Play) -> None:
    (play.folder / "password").write_text("vault-password\n")
    arguments = ["encrypt_string", "--vault-password-file", "password", "s3cr3t-in-the-vault", "--name", "vaulted"]
    vault = str(Path(sys.executable).with_name("ansible-vault"))
    encrypted = subprocess.run([vault, *arguments], cwd=play.folder, capture_output=True, text=True, check=True).stdout
    (play.folder / "vars.yml").write_text(encrypted)
    play.options["secrets"] = {"token": "{{ vaulted }}"}
    output = play.run("-e", "@vars.yml", "--vault-password-file", "password", "-vvv", "--diff")
    assert play.read("secrets/demo/token") == "s3cr3t-in-the-vault"
    assert "s3cr3t-in-the-vault" not in output
    assert "s3cr3t-in-the-vault" not in (play.folder / "result.json").read_text()


def test_a_rejected_file_is_traced_to_its_template(play: Play, fake_engine: Any) -> None:
    fake_engine.images.add("demo:1")
    fake_engine.checker = lambda config: (1, "/etc/demo/demo.yml:1: no greeting")
    play.options.update(checks=[{"image": "demo:1", "command": ["check"]}], socket_path=fake_engine.socket_path)
    output = play.run(passes=False)
    assert "demo/demo.yml:1: no greeting" in output
    assert "1 greeting: hello" in output
    assert f"demo/demo.yml is made from {play.templates}/demo.yml.j2" in output
    assert not (play.base / "demo").exists()


def test_absent_needs_no_templates(play: Play) -> None:
    play.run()
    play.options = {"name": "demo", "dir": str(play.base), "state": "absent"}
    play.run()
    assert not play.base.exists()
