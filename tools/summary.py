"""Says at the end of `make test` what ran, what was skipped and why."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

RESULTS = Path(".cache/results")


def main() -> int:
    passed = failed = skipped = 0
    for path in sorted(RESULTS.glob("*.xml")):
        for case in ElementTree.parse(path).iter("testcase"):
            skip = case.find("skipped")
            if skip is not None:
                skipped += 1
                print(f"skipped: {path.stem}: {case.get('name')}: {skip.get('message')}")
            elif case.find("failure") is not None or case.find("error") is not None:
                failed += 1
                print(f"failed: {path.stem}: {case.get('name')}")
            else:
                passed += 1
    ran = sorted({path.stem for path in RESULTS.iterdir() if path.suffix in ("", ".xml")})
    print(f"ran: {', '.join(ran)}")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
