"""The part of MLflow's REST API 2.0 that moves aliases, with its ways of saying no."""

from __future__ import annotations

from typing import Any

from tests.actions.receiver import Answer
from tests.actions.rollback.fakes.server import Asking, FakeServer, Registry, told


class FakeMlflow(FakeServer):
    """One prompt, ``refund-bot``; the token is ``mlflow-token``."""

    def __init__(self) -> None:
        self.registry = Registry()
        super().__init__()

    def authorized(self, asking: Asking) -> bool:
        """Want the bearer token."""
        return asking.headers.get("authorization") == "Bearer mlflow-token"

    def handled(self, asking: Asking) -> Answer:
        """Serve aliases and versions."""
        place = asking.segments[3:]
        if asking.method == "POST" and place == ("registered-models", "alias"):
            return self._moved(asking.data)
        if place == ("registered-models", "search"):
            return told(registered_models=[])
        if asking.params.get("name") != "refund-bot":
            return _absent("Registered Model with that name not found")
        if place == ("registered-models", "alias"):
            number = self.registry.labels.get(asking.params["alias"])
            if number is None:
                alias = asking.params["alias"]
                return told(
                    400,
                    error_code="INVALID_PARAMETER_VALUE",
                    message=f"Registered model alias {alias} not found.",
                )
            return self._version(number)
        if place == ("model-versions", "get"):
            return self._version(int(asking.params["version"]))
        return told(404, error_code="ENDPOINT_NOT_FOUND")

    def _moved(self, body: Any) -> Answer:
        number = int(body["version"])
        if number not in self.registry.versions:
            return _absent(f"Model Version (name=refund-bot, version={number}) not found")
        self.registry.labels[body["alias"]] = number
        return told()

    def _version(self, number: int) -> Answer:
        if number not in self.registry.versions:
            return _absent(f"Model Version (name=refund-bot, version={number}) not found")
        tags = [
            {"key": "mlflow.prompt.is_prompt", "value": "true"},
            {"key": "mlflow.prompt.text", "value": f"text {number}"},
        ]
        return told(model_version={"name": "refund-bot", "version": str(number), "tags": tags})


def _absent(message: str) -> Answer:
    return told(404, error_code="RESOURCE_DOES_NOT_EXIST", message=message)
