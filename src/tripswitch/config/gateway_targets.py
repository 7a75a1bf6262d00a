"""The rollback targets that change how a gateway or a cluster routes."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, SecretStr

from tripswitch.config.section import NEEDED, WEB_URL
from tripswitch.config.target_base import NAME, Rung, TargetSection


class LitellmSection(TargetSection):
    """What both ways to a LiteLLM proxy have. A cohort is a tag of its deployments."""

    model_group: str = Field(
        "",
        description=(
            "The model_name whose deployments are moved; empty means the requested model of the "
            "incident's scope, or all."
        ),
        examples=["refund-bot"],
    )

    def radius(self, cohort: str | None) -> Literal["cohort", "route", "global"]:
        """Return how much moves: without a cohort, all that ask for the model."""
        if cohort is not None:
            return "cohort"
        return "route" if self.routes else "global"


class LitellmFileTarget(LitellmSection):
    """The configuration file of a LiteLLM proxy without a database, to be restarted by others."""

    serves: ClassVar[tuple[Rung, ...]] = ("cohort", "prompt_version", "provider_failover")

    type: Literal["litellm_file"] = Field("litellm_file", description="Kind of target.")
    name: str = Field("litellm-file", pattern=NAME, description="Name, unique.")
    path: str = Field(
        "",
        description="The proxy's config.yaml; tripswitch must be able to write its folder.",
        examples=["/etc/litellm/config.yaml"],
        json_schema_extra=NEEDED,
    )


class LitellmTarget(LitellmSection):
    """The API of a LiteLLM proxy with a database; deployments of its file cannot be changed."""

    serves: ClassVar[tuple[Rung, ...]] = (
        "cohort",
        "prompt_version",
        "provider_failover",
        "cost_breaker",
    )
    is_verified: ClassVar[bool] = False

    type: Literal["litellm"] = Field("litellm", description="Kind of target.")
    name: str = Field("litellm", pattern=NAME, description="Name, unique.")
    url: str = Field(
        "",
        description="Address of the proxy.",
        examples=["http://litellm:4000"],
        json_schema_extra=NEEDED | WEB_URL,
    )
    master_key: SecretStr = Field(
        SecretStr(""),
        description="An admin's key; write it as ${env:NAME}.",
        examples=["${env:LITELLM_MASTER_KEY}"],
        json_schema_extra=NEEDED,
    )
    limited_key: str = Field(
        "",
        description=(
            "For the cost breaker: the hashed key whose rate is lowered. Its own limits are "
            "put back by the undo."
        ),
    )
    limited_tpm: int = Field(
        10_000, ge=0, description="Tokens a minute that the limited key may use."
    )
    limited_rpm: int = Field(60, ge=0, description="Requests a minute that it may make.")

    def does(self, rung: str) -> bool:
        """Return whether it may be asked for a rung: the cost breaker needs a key to limit."""
        return super().does(rung) and (rung != "cost_breaker" or bool(self.limited_key))


class ArgoRolloutsTarget(TargetSection):
    """An Argo Rollout that is under way, aborted through the Kubernetes API."""

    serves: ClassVar[tuple[Rung, ...]] = ("cohort", "prompt_version")
    is_verified: ClassVar[bool] = False

    type: Literal["argo_rollouts"] = Field("argo_rollouts", description="Kind of target.")
    name: str = Field("argo-rollouts", pattern=NAME, description="Name, unique.")
    url: str = Field(
        "https://kubernetes.default.svc",
        description="Address of the Kubernetes API.",
        json_schema_extra=NEEDED | WEB_URL,
    )
    token: SecretStr = Field(
        SecretStr(""), description="Bearer token; write it as ${env:NAME}, or set token_file."
    )
    token_file: str = Field(
        "",
        description="File with the token, read anew for every call.",
        examples=["/var/run/secrets/kubernetes.io/serviceaccount/token"],
    )
    ca_file: str = Field(
        "",
        description="Certificates of the API's authority; empty means the system's.",
        examples=["/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"],
    )
    namespace: str = Field("default", min_length=1, description="The Rollout's namespace.")
    rollout: str = Field(
        "", description="The Rollout.", examples=["refund-bot"], json_schema_extra=NEEDED
    )
    version_label: str = Field(
        "app.kubernetes.io/version",
        min_length=1,
        description="The label of its pods that says the prompt version.",
    )
    cohort: str = Field(
        "canary", description="The cohort that its canary serves, as the spans say it."
    )

    def radius(self, cohort: str | None) -> Literal["cohort", "route", "global"]:
        """Return how much moves: what the canary serves."""
        return "cohort" if cohort is not None and cohort == self.cohort else "route"
