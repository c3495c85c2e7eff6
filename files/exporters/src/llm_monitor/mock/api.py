"""The JSON API: what is played, what can be played, and the time."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llm_monitor.base.config.model import Duration
from llm_monitor.base.errors import LlmMonitorError
from llm_monitor.mock.stage import LONGEST_JUMP, Stage

PREFIX = "/api/v1"
_BAD_REQUEST = 400
_LARGEST_BODY = 64 << 10
# What the API calls otherwise than scenarios do.
_LEVELS = {"request_multiplier": "load", "enable_anomalies": "anomalies"}
_NAMES = {level: name for name, level in _LEVELS.items()}

Told = dict[str, Any]
B = TypeVar("B", bound=BaseModel)
Share = Annotated[float, Field(ge=0, le=1, strict=True)]
Route = Callable[[Request], Awaitable[Response]]


class BadRequestError(LlmMonitorError):
    """A request that can't be carried out.

    Attributes:
        told: What is wrong, and what would be allowed.
    """

    def __init__(self, told: Told) -> None:
        """Answer with `told`."""
        super().__init__(told["error"])
        self.told = told


class SettingsBody(BaseModel):
    """Levels that count instead of the scenario's own."""

    model_config = ConfigDict(extra="forbid")

    cpu_load: Share | None = Field(default=None, description="a ratio from 0 to 1")
    gpu_utilization: Share | None = Field(default=None, description="a ratio from 0 to 1")
    error_rate: Share | None = Field(default=None, description="a ratio from 0 to 1")
    request_multiplier: float | None = Field(
        default=None, ge=0, le=1000, strict=True, description="a number, 0 to 1000"
    )
    enable_anomalies: bool | None = Field(default=None, strict=True, description="true or false")


class ScenarioBody(BaseModel):
    """What is to be played."""

    model_config = ConfigDict(extra="forbid")

    scenario: str = Field(strict=True, description="the name of a scenario")
    settings: SettingsBody = Field(default=SettingsBody(), description="a group of settings")


class AdvanceBody(BaseModel):
    """How much time is to pass."""

    model_config = ConfigDict(extra="forbid")

    by: Duration = Field(
        gt=0, le=LONGEST_JUMP, description="a duration such as 90s, 30m or 24h, which is the most"
    )


def create_router(stage: Stage) -> APIRouter:
    """Return the routes that tell and change what `stage` plays."""
    router = APIRouter(prefix=PREFIX, tags=["mock"])
    desk = _Desk(stage)
    for method, path, route, summary in (
        ("GET", "/scenario", desk.scenario, "What is played, its settings and the virtual time."),
        ("PUT", "/scenario", desk.play, "Play {scenario, settings} from now on."),
        ("GET", "/scenarios", desk.scenarios, "Every scenario that can be played."),
        ("POST", "/scenario/advance", desk.advance, "Let {by: 30m} pass at once."),
    ):
        router.add_api_route(
            path,
            _answered(route),
            methods=[method],
            response_class=JSONResponse,
            response_model=None,
            summary=summary,
            operation_id=f"{method.lower()}{path.replace('/', '-')}",
            responses={_BAD_REQUEST: {"description": "What is wrong, and what is allowed"}},
        )
    return router


class _Desk:
    """Answers requests about a stage."""

    def __init__(self, stage: Stage) -> None:
        """Tell of `stage`."""
        self._stage = stage

    async def scenario(self, _: Request) -> Told:
        """Answer with what is played."""
        stage = self._stage
        settings = {_NAMES.get(name, name): value for name, value in stage.settings.items()}
        return {
            "scenario": stage.scenario,
            "description": stage.description,
            "settings": settings,
            "virtual_time": stage.now(),
        }

    async def scenarios(self, _: Request) -> list[Told]:
        """Answer with each scenario's name and description."""
        told = self._stage.library.describe()
        return [{"scenario": name, "description": text} for name, text in told.items()]

    async def play(self, request: Request) -> Told:
        """Play another scenario."""
        body = await _body(request, ScenarioBody)
        known = self._stage.library.names()
        if body.scenario not in known:
            problem = f"{body.scenario!r:.80} is no scenario"
            raise BadRequestError({"error": problem, "scenarios": known})
        told = body.settings.model_dump(exclude_none=True)
        settings = {_LEVELS.get(name, name): value for name, value in told.items()}
        self._stage.play(body.scenario, settings)
        return await self.scenario(request)

    async def advance(self, request: Request) -> Told:
        """Let time pass."""
        body = await _body(request, AdvanceBody)
        await asyncio.to_thread(self._stage.advance, body.by)
        return await self.scenario(request)


def _answered(route: Callable[[Request], Awaitable[Any]]) -> Route:
    async def answer(request: Request) -> Response:
        try:
            return JSONResponse(await route(request))
        except BadRequestError as error:
            return JSONResponse(error.told, status_code=_BAD_REQUEST)

    return answer


async def _body(request: Request, model: type[B]) -> B:
    """Return the body of a request.

    Raises:
        BadRequestError: When it is too large, no JSON, or not as `model` wants it.
    """
    text = b""
    async for chunk in request.stream():
        text += chunk
        if len(text) > _LARGEST_BODY:
            problem = f"the body has more than {_LARGEST_BODY} bytes"
            raise _refusal(problem, model)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        problem = "the body is no JSON"
        raise _refusal(problem, model) from None
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the body"
        problem = f"{place}: {first['msg']}"
        raise _refusal(problem, model) from None


def _refusal(problem: str, model: type[BaseModel]) -> BadRequestError:
    """Return the error that tells a problem, and what a body may have."""
    allowed: Told = {name: one.description for name, one in model.model_fields.items()}
    if model is ScenarioBody:
        inner = SettingsBody.model_fields.items()
        allowed["settings"] = {name: one.description for name, one in inner}
    return BadRequestError({"error": problem, "expected": allowed})
