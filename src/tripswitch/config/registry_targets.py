"""The rollback targets that move a label of a prompt in a registry."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, SecretStr

from tripswitch.config.section import NEEDED, WEB_URL
from tripswitch.config.target_base import Rung, TargetSection


class RegistrySection(TargetSection):
    """What every prompt registry has: a prompt, and a label of it that stands at one version."""

    serves: ClassVar[tuple[Rung, ...]] = ("cohort", "prompt_version")

    url: str = Field(
        "",
        description="Address of the registry.",
        examples=["https://registry.example.com"],
        json_schema_extra=NEEDED | WEB_URL,
    )
    prompt: str = Field(
        "", description="The prompt's name in the registry; empty means the name in the spans."
    )
    label: str = Field(
        "production",
        min_length=1,
        description="The label that the application reads; everybody who reads it is moved.",
    )
    cohort_labels: dict[str, str] = Field(
        default_factory=dict,
        description=(
            "The label that a cohort reads instead, by cohort. Only a cohort named here can be "
            "moved alone."
        ),
        examples=[{"canary": "canary"}],
    )

    def does(self, rung: str) -> bool:
        """Return whether it may be asked for a rung: one cohort only where it has a label."""
        return super().does(rung) and (rung != "cohort" or bool(self.cohort_labels))

    def radius(self, cohort: str | None) -> Literal["cohort", "route", "global"]:
        """Return how much moves: a label moves all that read it, whatever route they serve."""
        if cohort is not None and cohort in self.cohort_labels:
            return "cohort"
        return "route" if self.routes else "global"


class MlflowTarget(RegistrySection):
    """An alias of a prompt in the MLflow Prompt Registry. Versions are numbers: v17, 17."""

    type: Literal["mlflow"] = Field("mlflow", description="Kind of target.")
    name: str = Field("mlflow", pattern=r"^[a-z0-9][a-z0-9_-]*$", description="Name, unique.")
    url: str = Field(
        "",
        description="Address of the tracking server.",
        examples=["http://mlflow:5000"],
        json_schema_extra=NEEDED | WEB_URL,
    )
    username: str = Field(
        "", description="Name for Basic authentication; empty means that token is a bearer token."
    )
    token: SecretStr = Field(
        SecretStr(""),
        description="Bearer token, or password where username is set; write it as ${env:NAME}.",
        examples=["${env:MLFLOW_TRACKING_TOKEN}"],
    )
