"""The settings as the process reads them: in a child process, from files and the environment."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from llm_monitor.base import registry
from llm_monitor.base.config.load import check
from llm_monitor.base.config.model import ExporterSettings, Settings, seconds
from llm_monitor.base.config.reader import read
from llm_monitor.base.config.reading import Reading
from llm_monitor.base.errors import SettingsError

Load = Callable[..., tuple[Settings, ExporterSettings]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def run(file: str | None = None, **variables: str) -> tuple[Settings, ExporterSettings]:
        environment = {f"LLM_MONITOR_{name}": text for name, text in variables.items()}
        if file is not None:
            path = tmp_path / "settings.yaml"
            path.write_text(file)
            environment["LLM_MONITOR_SETTINGS_FILE"] = str(path)
        models = {"node": registry.load("node").Settings}
        settings, sections = check(read(environment), models, registry.names())
        return settings, sections["node"]

    return run


def problems(load: Load, file: str | None = None, **variables: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(file, **variables)
    return "\n".join(caught.value.problems)


def test_the_packages_defaults(load: Load) -> None:
    settings, node = load()
    assert settings.listen_address == "127.0.0.1"
    assert settings.min_interval == 5
    assert (settings.max_series_per_family, settings.max_series) == (200, 2000)
    assert settings.auth.token is None
    assert node.port == 9100


def test_an_exporter_may_have_limits_of_its_own(load: Load) -> None:
    _, node = load()
    assert (node.max_series_per_family, node.max_series) == (None, None)
    _, node = load(NODE__MAX_SERIES="3000", NODE__MAX_SERIES_PER_FAMILY="300")
    assert (node.max_series_per_family, node.max_series) == (300, 3000)
    assert "expected a number, 1 to 100000" in problems(load, NODE__MAX_SERIES_PER_FAMILY="0")


def test_a_mounted_file_goes_before_the_defaults_and_the_environment_before_both(
    load: Load,
) -> None:
    file = "min_interval: 10s\nnode: {port: 9200, per_cpu: true}\nauth: {token: from-file}\n"
    settings, node = load(file, NODE__PORT="9300", LOG_LEVEL="debug")
    assert settings.min_interval == 10
    assert settings.log_level == "debug"
    assert node.port == 9300
    assert node.model_dump()["per_cpu"] is True
    assert settings.auth.token == SecretStr("from-file")


@pytest.mark.parametrize("secret", ["1e5", "0123", "true", "@jinja {{ 1 }}", "@none", "[x]", 'a"b'])
def test_a_secret_is_what_it_says(load: Load, secret: str) -> None:
    settings, _ = load(AUTH__TOKEN=secret)
    assert settings.auth.token == SecretStr(secret)


def test_secrets_from_files_lose_their_last_line_feed_only(load: Load, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(" s3cret \n")
    settings, _ = load(AUTH__USERNAME="ada", AUTH__PASSWORD_FILE=str(tmp_path / "password"))
    assert settings.auth.password == SecretStr(" s3cret ")
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("NODE__PORT", "http", "'http' is not allowed; expected a TCP port, 1 to 65535"),
        ("NODE__PORT", "70000", "'70000' is not allowed; expected a TCP port"),
        ("NODE__PORT", "0", "'0' is not allowed"),
        ("MIN_INTERVAL", "5", "'5' is not allowed; expected a duration such as 5s"),
        ("MIN_INTERVAL", "2h", "'2h' is not allowed; expected a duration such as 5s, 1h at most"),
        ("LOG_LEVEL", "loud", "'loud' is not allowed; expected one of debug, info"),
        ("LOG_FORMAT", "xml", "'xml' is not allowed; expected json or console"),
        ("LISTEN_ADDRESS", "localhost", "'localhost' is not allowed; expected an IPv4 or IPv6"),
        ("MAX_SERIES", "-1", "'-1' is not allowed; expected a number"),
        ("NODE__MOUNT_TIMEOUT", "0", "'0' is not allowed; expected a duration such as 1s"),
        ("NODE__DISKS_EXCLUDE", "(", "'(' is not allowed; expected a regular expression"),
        ("NODE__PER_CPU", "maybe", "'maybe' is not allowed; expected true or false"),
        ("NODE", "9100", "'9100' is not allowed; expected a group of settings"),
    ],
)
def test_a_bad_value_names_setting_value_and_what_is_expected(
    load: Load, name: str, text: str, expected: str
) -> None:
    found = problems(load, **{name: text})
    assert f"(LLM_MONITOR_{name}): {expected}" in found


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("NODE__PRT", "did you mean port?"),
        ("MIN_INTERVALL", "did you mean min_interval?"),
        ("NOD__PORT", "did you mean node?"),
        ("SOMETHING", "expected one of auth, "),
        ("AUTH__TOKN", "did you mean token?"),
    ],
)
def test_an_unknown_setting_is_refused_with_a_hint(load: Load, name: str, hint: str) -> None:
    found = problems(load, **{name: "1"})
    assert "there is no such setting" in found
    assert hint in found


@pytest.mark.parametrize("text", ["http://ada:s3cret@host/", "x://s3cret@host", "//a:s3cret@h"])
def test_a_url_is_shown_without_user_and_password(load: Load, text: str) -> None:
    found = problems(load, LISTEN_ADDRESS=text)
    assert "//***@h" in found
    assert "s3cret" not in found


@pytest.mark.parametrize("text", ["ada:s3cret@host", "x=ada:s3cret@host:80"])
def test_what_is_no_url_is_shown_without_user_and_password(load: Load, text: str) -> None:
    found = problems(load, LISTEN_ADDRESS=text)
    assert "'***@host" in found
    assert "s3cret" not in found


def test_a_url_is_shown_without_its_query(load: Load) -> None:
    found = problems(load, LISTEN_ADDRESS="http://host/path?key=s3cret&more='s3cret'#end")
    assert "http://host/path?***#end" in found
    assert "s3cret" not in found


def test_every_problem_is_told_at_once(load: Load) -> None:
    found = problems(load, NODE__PORT="x", LOG_LEVEL="x", WHAT="x")
    assert len(found.splitlines()) == 3


@pytest.mark.parametrize("name", ["AUTH__TOKN", "AUTH", "NODE__PASSWORD", "ATH__TOKEN"])
def test_a_problem_never_shows_a_secret(load: Load, name: str) -> None:
    assert "s3cret" not in problems(load, **{name: "s3cret"})


def test_authentication_that_would_let_everybody_in_is_refused(load: Load, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    assert "not empty" in problems(load, AUTH__TOKEN="")
    assert "not empty" in problems(load, AUTH__TOKEN_FILE=str(tmp_path / "empty"))
    assert "username and password go together" in problems(load, AUTH__USERNAME="ada")
    assert "username and password go together" in problems(load, AUTH__PASSWORD="s3cret")


def test_a_secrets_file_that_cannot_be_used(load: Load, tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "good").write_text("s3cret")
    missing = problems(load, AUTH__TOKEN_FILE="/does/not/exist")
    assert "auth.token_file (LLM_MONITOR_AUTH__TOKEN_FILE): '/does/not/exist'" in missing
    assert "not UTF-8" in problems(load, AUTH__TOKEN_FILE=str(tmp_path / "binary"))
    both = problems(load, AUTH__TOKEN="s3cret", AUTH__TOKEN_FILE=str(tmp_path / "good"))
    assert "is set too" in both


@pytest.mark.parametrize("text", ["a: [", "- a\n- b\n", "word\n"])
def test_a_file_that_is_no_mapping(load: Load, text: str) -> None:
    found = problems(load, text)
    assert "settings.yaml" in found


NO_YAML = """
*s3cret
!s3cret
@s3cret
"s3cret
[s3cret
'x's3cret
a: s3cret
"\\s3cret"
{x, *s3cret
"""


@pytest.mark.parametrize("secret", NO_YAML.split("\n")[1:-1])
def test_a_file_that_is_no_yaml_shows_no_secret(load: Load, secret: str) -> None:
    found = problems(load, f"litellm:\n  api_key: {secret}\n")
    assert re.search(r"the settings can't be read: .*settings.yaml, line \d, column \d+: .", found)
    assert "s3cret" not in found


def test_a_file_that_is_not_there(load: Load) -> None:
    found = problems(load, SETTINGS_FILE="/does/not/exist")
    assert "LLM_MONITOR_SETTINGS_FILE: '/does/not/exist' can't be read: No such file" in found


def test_an_empty_file_changes_nothing(load: Load) -> None:
    settings, _ = load("")
    assert settings.min_interval == 5


def test_two_exporters_on_one_port_are_refused() -> None:
    models = {"node": ExporterSettings, "other": ExporterSettings}
    raw = {**read({}), "node": {"port": 9100}, "other": {"port": 9100}}
    with pytest.raises(SettingsError, match="used twice"):
        check(raw, models, ["node", "other"])


def test_the_child_process_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("LLM_MONITOR_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LLM_MONITOR_NODE__PORT", "9123")
    assert Reading().result() == read({"LLM_MONITOR_NODE__PORT": "9123"})
    monkeypatch.setenv("LLM_MONITOR_SETTINGS_FILE", "/does/not/exist")
    with pytest.raises(SettingsError, match="can't be read"):
        Reading().result()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30s", 30), ("1m30s", 90), ("500ms", 0.5), ("2d", 172800), ("1w", 604800), ("0", 0)],
)
def test_durations(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "-5s", "1.5s", "5S", "5s5", "soon"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        seconds(text)
