"""The rollback targets that move a label of a prompt in a registry."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, SecretStr

from tripswitch.config.section import NEEDED, WEB_URL
from tripswitch.config.target_base import NAME, Rung, TargetSection


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
    name: str = Field("mlflow", pattern=NAME, description="Name, unique.")
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


class PhoenixTarget(RegistrySection):
    """A tag of a prompt in Phoenix. Versions are ids, names of other tags, or numbers: v17, 17."""

    type: Literal["phoenix"] = Field("phoenix", description="Kind of target.")
    name: str = Field("phoenix", pattern=NAME, description="Name, unique.")
    url: str = Field(
        "",
        description="Address of the server.",
        examples=["http://phoenix:6006"],
        json_schema_extra=NEEDED | WEB_URL,
    )
    api_key: SecretStr = Field(
        SecretStr(""),
        description="API key, empty where Phoenix asks for none; write it as ${env:NAME}.",
        examples=["${env:PHOENIX_API_KEY}"],
    )


class LangfuseTarget(RegistrySection):
    """A label of a prompt in Langfuse. Versions are numbers: v17, 17."""

    type: Literal["langfuse"] = Field("langfuse", description="Kind of target.")
    name: str = Field("langfuse", pattern=NAME, description="Name, unique.")
    url: str = Field(
        "https://cloud.langfuse.com",
        description="Address of the API.",
        json_schema_extra=NEEDED | WEB_URL,
    )
    public_key: str = Field(
        "",
        description="Public key of the project.",
        examples=["${env:LANGFUSE_PUBLIC_KEY}"],
        json_schema_extra=NEEDED,
    )
    secret_key: SecretStr = Field(
        SecretStr(""),
        description="Secret key of the project; write it as ${env:NAME}.",
        examples=["${env:LANGFUSE_SECRET_KEY}"],
        json_schema_extra=NEEDED,
    )


class LangsmithTarget(RegistrySection):
    """A commit tag of a prompt in the LangSmith hub. Versions are commit hashes, or other tags."""

    is_verified: ClassVar[bool] = False

    type: Literal["langsmith"] = Field("langsmith", description="Kind of target.")
    name: str = Field("langsmith", pattern=NAME, description="Name, unique.")
    url: str = Field(
        "https://api.smith.langchain.com",
        description="Address of the API.",
        json_schema_extra=NEEDED | WEB_URL,
    )
    api_key: SecretStr = Field(
        SecretStr(""),
        description="API key; write it as ${env:NAME}.",
        examples=["${env:LANGSMITH_API_KEY}"],
        json_schema_extra=NEEDED,
    )
    owner: str = Field(
        "-", min_length=1, description="Handle of the prompt's owner; - is the key's workspace."
    )


class BraintrustTarget(RegistrySection):
    """An environment of a prompt in Braintrust. Versions are transaction ids; prompts are slugs."""

    is_verified: ClassVar[bool] = False

    type: Literal["braintrust"] = Field("braintrust", description="Kind of target.")
    name: str = Field("braintrust", pattern=NAME, description="Name, unique.")
    url: str = Field(
        "https://api.braintrust.dev",
        description="Address of the API.",
        json_schema_extra=NEEDED | WEB_URL,
    )
    api_key: SecretStr = Field(
        SecretStr(""),
        description="API key; write it as ${env:NAME}.",
        examples=["${env:BRAINTRUST_API_KEY}"],
        json_schema_extra=NEEDED,
    )
    project: str = Field("", description="The prompt's project, where its slug is not unique.")
    organization: str = Field("", description="Name of the organization, where there are several.")


class HeliconeTarget(RegistrySection):
    """An environment of a prompt in Helicone. Versions are ids or v2.1, 2.1; prompts are ids."""

    is_verified: ClassVar[bool] = False

    type: Literal["helicone"] = Field("helicone", description="Kind of target.")
    name: str = Field("helicone", pattern=NAME, description="Name, unique.")
    url: str = Field(
        "https://api.helicone.ai",
        description="Address of the API.",
        json_schema_extra=NEEDED | WEB_URL,
    )
    api_key: SecretStr = Field(
        SecretStr(""),
        description="API key; write it as ${env:NAME}.",
        examples=["${env:HELICONE_API_KEY}"],
        json_schema_extra=NEEDED,
    )


class FutureagiTarget(RegistrySection):
    """A label of a prompt template in FutureAGI. Versions are their names: v17, 17."""

    is_verified: ClassVar[bool] = False

    type: Literal["futureagi"] = Field("futureagi", description="Kind of target.")
    name: str = Field("futureagi", pattern=NAME, description="Name, unique.")
    url: str = Field(
        "https://api.futureagi.com",
        description="Address of the API.",
        json_schema_extra=NEEDED | WEB_URL,
    )
    api_key: SecretStr = Field(
        SecretStr(""),
        description="API key; write it as ${env:NAME}.",
        examples=["${env:FI_API_KEY}"],
        json_schema_extra=NEEDED,
    )
    secret_key: SecretStr = Field(
        SecretStr(""),
        description="Secret key; write it as ${env:NAME}.",
        examples=["${env:FI_SECRET_KEY}"],
        json_schema_extra=NEEDED,
    )
