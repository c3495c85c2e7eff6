"""The scenarios there are: ours, one for each kind of fault, and those in the user's folder."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from llm_monitor.base import registry
from llm_monitor.base.errors import SettingsError
from llm_monitor.mock.documents import Document
from llm_monitor.mock.fleet.layout import Embedder, Fleet, Model
from llm_monitor.mock.scenario.course import Course, Track, told
from llm_monitor.mock.scenario.faults import KINDS
from llm_monitor.mock.scenario.schema import Event, Scenario

OURS = Path(__file__).with_name("scenarios")

# When the fault of a scenario that is named like it begins.
_FAULT_AT = "5m"


class Library:
    """All scenarios, checked against a fleet."""

    def __init__(self, fleet: Fleet, folder: Path | None = None) -> None:
        """Read our scenarios and those of `folder`, whose names win.

        Raises:
            SettingsError: With every problem of every file.
        """
        paths = _files(OURS) | (_files(folder) if folder else {})
        targets = _targets(fleet)
        problems: list[str] = []
        self._usual = {kind: next(iter(there), None) for kind, there in targets.items()}
        self._files: dict[str, tuple[Document, Scenario]] = {}
        for name, path in paths.items():
            try:
                document = Document(path)
                scenario = document.check(Scenario)
                if path.parent == OURS:
                    scenario = _moved(scenario, targets)
                self._files[name] = document, scenario
                problems += _strangers(document, scenario, targets, {*paths, *KINDS})
            except SettingsError as error:
                problems += error.problems
        problems += [] if problems else self._circles()
        if problems:
            raise SettingsError(problems)

    def names(self) -> list[str]:
        """Return the scenarios' names."""
        return sorted({*self._files, *KINDS})

    def describe(self) -> Mapping[str, str]:
        """Return what each scenario plays, by name."""
        return {name: self.course(name).description for name in self.names()}

    def course(self, name: str) -> Course:
        """Return a scenario with all that it extends.

        Raises:
            KeyError: When there is none of that name.
        """
        if name not in self._files:
            return self._fault(name)
        scenario = self._files[name][1]
        parents = [self.course(one) for one in scenario.extends]
        levels: dict[str, object] = {}
        for parent in parents:
            levels |= parent.levels
        tracks = [track for parent in parents for track in parent.tracks]
        return Course(
            name=name,
            description=scenario.description,
            levels=levels | told(scenario),
            tracks=(*tracks, Track(scenario.events, scenario.every)),
        )

    def _fault(self, name: str) -> Course:
        """Return the scenario of one fault on a usual day, on the first of what it can befall."""
        kind = KINDS[name]
        told = {"at": _FAULT_AT, "fault": name, "target": self._usual[kind.target]}
        value = f" ({kind.usual:g} {kind.value})" if kind.value else ""
        where = f" on {told['target']}" if told["target"] else ""
        description = f"A usual day, until after 5 minutes{where} {kind.means}{value}."
        event = Event.model_validate(told)
        return Course(name, description, tracks=(Track((event,), None),))

    def _circles(self) -> Iterator[str]:
        for name, (document, _) in self._files.items():
            seen: list[str] = []
            wave = [name]
            while wave:
                files = [self._files[one][1] for one in wave if one in self._files]
                wave = [parent for one in files for parent in one.extends]
                if name in wave:
                    yield document.problem(("extends",), f"{name} extends itself")
                    break
                wave = [one for one in wave if one not in seen]
                seen += wave


def _files(folder: Path) -> dict[str, Path]:
    try:
        return {path.stem: path for path in sorted(folder.iterdir()) if path.suffix == ".yaml"}
    except OSError as error:
        raise SettingsError([f"{folder}: it can't be read: {error.strerror}"]) from error


def _targets(fleet: Fleet) -> dict[str, list[str]]:
    """Return what faults can befall, by the kind of target."""
    serving: list[Model | Embedder] = [*fleet.models, *fleet.embedders]
    return {
        "gpu": [str(one) for one in range(fleet.gpu.count)],
        "model": [one.name for one in serving],
        "container": [one.container for one in serving] + [one.name for one in fleet.containers],
        "limited container": [one.container for one in fleet.embedders]
        + [one.name for one in fleet.containers if one.cpu_limit],
        "mountpoint": [one.mountpoint for one in fleet.disks],
        "exporter": [one for one in registry.names() if one != "mock"],
        "none": [],
    }


def _moved(scenario: Scenario, targets: Mapping[str, list[str]]) -> Scenario:
    """Return one of our scenarios, fit for a fleet of the user's.

    What befalls something that is not there befalls the first of its kind, or nothing.
    """
    events: list[Event] = []
    for event in scenario.events:
        there = targets[KINDS[event.fault].target] if event.fault is not None else []
        if event.target is None or str(event.target) in there:
            events.append(event)
        elif there:
            events.append(event.model_copy(update={"target": there[0]}))
    return scenario.model_copy(update={"events": tuple(events)})


def _strangers(
    document: Document,
    scenario: Scenario,
    targets: Mapping[str, list[str]],
    known: Collection[str],
) -> Iterator[str]:
    """Give what is named in a scenario and is not there."""
    for number, name in enumerate(scenario.extends):
        if name not in known:
            sentence = f"{name} is no scenario; expected one of {', '.join(sorted(known))}"
            yield document.problem(("extends", number), sentence)
    for number, event in enumerate(scenario.events):
        if event.fault is not None and event.target is not None:
            there = targets[KINDS[event.fault].target]
            if str(event.target) not in there:
                sentence = f"{event.target} is not there; expected one of {', '.join(there)}"
                yield document.problem(("events", number, "target"), sentence)
