"""The admin API of a LiteLLM proxy with a database, made from the proxy's own source."""

from __future__ import annotations

from typing import Any

from tests.actions.receiver import Answer
from tests.actions.rollback.fakes.server import Asking, FakeServer, told


def deployment(name: str, model: str = "openai/a", **fields: Any) -> dict[str, Any]:
    """Return a deployment of the group ``chat`` that lives in the database."""
    info = {"id": name, "db_model": True, "blocked": False}
    params = {"model": model}
    for key, value in fields.items():
        (params if key in ("weight", "tags") else info)[key] = value
    group = info.pop("group", "chat")
    return {"model_name": group, "litellm_params": params, "model_info": info}


class FakeLitellm(FakeServer):
    """Deployments, fallbacks and one key, ``hash-1``."""

    def __init__(self, *deployments: dict[str, Any], database: str = "connected") -> None:
        self.deployments = list(deployments)
        self.fallbacks: dict[str, list[str]] = {}
        self.key: dict[str, Any] = {"tpm_limit": 50_000, "rpm_limit": None, "max_budget": 9.0}
        self.database = database
        super().__init__()

    def authorized(self, asking: Asking) -> bool:
        """Want the master key."""
        return asking.headers.get("authorization") == "Bearer sk-master"

    def of(self, name: str) -> dict[str, Any]:
        """Return one deployment."""
        return next(each for each in self.deployments if each["model_info"]["id"] == name)

    def handled(self, asking: Asking) -> Answer:
        """Serve what the target reads and writes."""
        match asking.method, asking.segments:
            case "GET", ("health", "readiness"):
                return told(status="healthy", db=self.database)
            case "GET", ("model", "info"):
                return told(data=self.deployments)
            case "GET", ("fallback", name):
                found = self.fallbacks.get(name)
                return told(404, detail="none") if not found else told(fallback_models=found)
            case "GET", ("key", "info"):
                return told(info=self.key)
        if self.database != "connected":
            return told(500, detail={"error": "DB not connected"})
        match asking.method, asking.segments:
            case "PATCH", ("model", name, "update"):
                self.of(name)["litellm_params"].update(asking.data["litellm_params"])
            case "POST", ("model", ("block" | "unblock") as word):
                self.of(asking.data["model_id"])["model_info"]["blocked"] = word == "block"
            case "POST", ("fallback",):
                self.fallbacks[asking.data["model"]] = asking.data["fallback_models"]
            case "DELETE", ("fallback", name):
                del self.fallbacks[name]
            case "POST", ("key", "update"):
                self.key.update({k: v for k, v in asking.data.items() if k != "key"})
            case _:
                return told(404, detail="no such call")
        return told(ok=True)
