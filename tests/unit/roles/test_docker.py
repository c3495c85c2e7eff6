"""Where the role docker takes Compose from, computed by Ansible itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
WANTED = {
    ("docker.io", "Debian", "12"): [],
    ("docker.io", "Debian", "13"): ["docker-cli", "docker-compose"],
    ("docker.io", "Ubuntu", "22.04"): ["docker-compose-v2"],
    ("docker.io", "Ubuntu", "24.04"): ["docker-compose-v2"],
    ("docker-ce", "Debian", "12"): ["docker-compose-plugin"],
    ("docker-ce", "Rocky", "9"): ["docker-compose-plugin"],
    ("moby-engine", "Ubuntu", "24.04"): [],
    (None, "Debian", "13"): [],
}


def test_compose_comes_from_where_the_engine_came(tmp_path: Path) -> None:
    hosts = {
        f"host{number}": {
            "__docker_installed": {"package": package},
            "system": system,
            "release": release,
        }
        for number, (package, system, release) in enumerate(WANTED)
    }
    facts = {
        "distribution": "{{ system }}",
        "distribution_version": "{{ release }}",
        "distribution_major_version": "{{ release.split('.') | first }}",
        "cacheable": True,
    }
    told = {
        "ansible.builtin.copy": {
            "content": "{{ docker_compose_packages | to_json }}",
            "dest": f"{tmp_path}/{{{{ inventory_hostname }}}}",
            "mode": "0600",
        },
        "connection": "local",
        "vars": {"ansible_python_interpreter": sys.executable},
    }
    play = {
        "hosts": "all",
        "gather_facts": False,
        "vars_files": [str(ROOT / "roles/docker/vars/main.yml")],
        "tasks": [{"ansible.builtin.set_fact": facts}, told],
    }
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    (tmp_path / "hosts.yml").write_text(json.dumps({"all": {"hosts": hosts}}))
    ansible = Path(sys.executable).parent / "ansible-playbook"
    run = subprocess.run(
        [ansible, "-i", "hosts.yml", "play.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    found = [json.loads((tmp_path / host).read_text()) for host in hosts]
    assert dict(zip(WANTED, found, strict=True)) == WANTED
