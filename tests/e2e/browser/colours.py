# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""Which panels with one number are red: by the colour of the number, or of what lies behind it."""

from __future__ import annotations

import colorsys
import re

from ansible_collections.llmops.monitoring.tests.e2e.browser import marks
from ansible_collections.llmops.monitoring.tests.e2e.browser.dashboards import Dashboard
from ansible_collections.llmops.monitoring.tests.e2e.browser.look import Drawn, survey
from playwright.sync_api import Page

# The number is what is written largest; a change in per cent below it may be red on the best of days.
COLOURS = """
([key, content]) => {
  const body = document.querySelector(`[data-viz-panel-key="${key}"] ${content}`);
  const all = body ? [...body.querySelectorAll("*")] : [];
  const size = e => parseFloat(getComputedStyle(e).fontSize);
  const words = all.filter(e => !e.childElementCount && e.textContent.trim());
  const largest = Math.max(...words.map(size));
  return [
    ...words.filter(e => size(e) === largest).map(e => getComputedStyle(e).color),
    ...all.flatMap(e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).backgroundImage]),
  ];
}
"""


def is_red(colour: str) -> bool:
    """Return whether a colour as CSS has it, or one of a gradient, is a red; what shines through is none."""
    for red, green, blue, alpha in re.findall(r"rgba?\((\d+), (\d+), (\d+)(?:, ([\d.]+))?\)", colour):
        hue, saturation, value = colorsys.rgb_to_hsv(int(red) / 255, int(green) / 255, int(blue) / 255)
        if (hue < 0.035 or hue > 0.94) and saturation > 0.5 and value > 0.4 and (not alpha or float(alpha) > 0.5):
            return True
    return False


def red_stats(page: Page, dashboard: Dashboard) -> set[str]:
    """Return the titles of the stat panels on the page that are red now."""
    stats = dashboard.stats()
    return {one.title for one in survey(page) if one.id in stats and _shows_red(page, one)}


def _shows_red(page: Page, one: Drawn) -> bool:
    colours: list[str] = page.evaluate(COLOURS, [one.key, marks.by_id(marks.PANEL_CONTENT)])
    return any(map(is_red, colours))
