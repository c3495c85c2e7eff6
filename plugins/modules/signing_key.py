#!/usr/bin/python
# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: signing_key
author: The llmops.monitoring authors (@llmops)
version_added: 0.1.0
short_description: The key of a package repository lies on a host, and it is the right one
description:
  - Fetches the OpenPGP key with which a package repository is signed, and writes it only if its fingerprint is the one
    that is expected. A file that holds any further key is refused, for that would be trusted too.
  - A file with the expected key that is there already is kept, and nothing is fetched.
  - It needs nothing on the host but Python.
attributes:
  check_mode:
    description: Can run in check mode; fetches and checks the key there, and says whether it would be written.
    support: full
  diff_mode:
    description: Shows the fingerprints before and after.
    support: full
options:
  url:
    description: Where the key is, armored or not.
    type: str
    required: true
  path:
    description:
      - The file that shall hold it, as apt's C(Signed-By) or dnf's C(gpgkey) names it. Its folder is made if need be.
      - It is written as it was fetched. apt takes an armored key from a file whose name ends in C(.asc) only.
    type: path
    required: true
  fingerprint:
    description: The fingerprint of the one key that the file may hold, 40 hexadecimal digits; spaces don't count.
    type: str
    required: true
  timeout:
    description: Seconds that the server may take to answer.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: The key of NVIDIA's repository is in place
  llmops.monitoring.signing_key:
    url: https://nvidia.github.io/libnvidia-container/gpgkey
    path: /etc/apt/keyrings/nvidia-container-toolkit.asc
    fingerprint: C95B 321B 61E8 8C18 09C4 F759 DDCA E044 F796 ECB0
"""

RETURN = r"""
fingerprints:
  description: The fingerprints of the keys that were found, in the file or at the address.
  returned: when any was found
  type: list
  elements: str
  sample: [C95B321B61E88C1809C4F759DDCAE044F796ECB0]
"""

import os
import tempfile
from typing import Any
from urllib.error import URLError

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url
from ansible_collections.llmops.monitoring.plugins.module_utils._openpgp import KeyFileError, fingerprints


def held(path: str) -> list[str]:
    """Return the fingerprints of the keys in a file; none when it isn't there or holds no keys."""
    try:
        with open(path, "rb") as file:
            return fingerprints(file.read())
    except (FileNotFoundError, KeyFileError):
        return []


def fetched(module: AnsibleModule, url: str) -> bytes:
    """Return what is at the address; fails the module when it can't be had."""
    try:
        content: bytes = open_url(url, timeout=module.params["timeout"]).read()
    except (URLError, OSError, ValueError) as error:
        module.fail_json(
            msg=f"The key of the package repository can't be fetched from {url}: {error}. Open the way to it, or take "
            "a mirror that this host reaches. Nothing has been written."
        )
        raise AssertionError("fail_json has not ended the module") from error
    return content


def refusal(module: AnsibleModule, why: str, found: list[str]) -> None:
    url = module.params["url"]
    module.fail_json(
        msg=f"{url} is not the key that is expected: {why}. Whoever changed it could sign packages for this host, so "
        "it is not trusted, and nothing has been written. If the repository's owner has announced a new key, set its "
        "fingerprint.",
        fingerprints=found,
    )


def write(module: AnsibleModule, path: str, content: bytes) -> None:
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    descriptor, staged = tempfile.mkstemp(dir=module.tmpdir)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    module.atomic_move(staged, path)
    # apt reads it as its own user.
    module.set_mode_if_different(path, 0o644, False)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "path": {"type": "path", "required": True},
            # The name makes Ansible suspect a secret.
            "fingerprint": {"type": "str", "required": True, "no_log": False},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    path: str = module.params["path"]
    wanted = ["".join(module.params["fingerprint"].split()).upper()]
    before = held(path)
    result: dict[str, Any] = {"changed": before != wanted, "fingerprints": wanted}
    if result["changed"]:
        content = fetched(module, module.params["url"])
        try:
            found = fingerprints(content)
        except KeyFileError as error:
            refusal(module, str(error), [])
        if found != wanted:
            refusal(module, f"its fingerprint is {', '.join(found)}, not {wanted[0]}", found)
        result["diff"] = {
            "before_header": path,
            "after_header": path,
            "before": "".join(f"{fingerprint}\n" for fingerprint in before),
            "after": f"{wanted[0]}\n",
        }
        if not module.check_mode:
            write(module, path, content)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
