"""Each kind of rollback target of the file, opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tripswitch.actions.rollback.argo_rollouts import ArgoRollouts
from tripswitch.actions.rollback.braintrust import BraintrustEnvironment
from tripswitch.actions.rollback.flag_file import FlagFile
from tripswitch.actions.rollback.futureagi import FutureagiLabel
from tripswitch.actions.rollback.helicone import HeliconeEnvironment
from tripswitch.actions.rollback.langfuse import LangfuseLabel
from tripswitch.actions.rollback.langsmith import LangsmithTag
from tripswitch.actions.rollback.litellm_api import LitellmApi
from tripswitch.actions.rollback.litellm_file import LitellmFile
from tripswitch.actions.rollback.mlflow import MlflowAlias
from tripswitch.actions.rollback.phoenix import PhoenixTag
from tripswitch.actions.rollback.unleash import UnleashFlag
from tripswitch.actions.rollback.webhook import WebhookRollback
from tripswitch.config.flag_targets import FlagFileTarget, UnleashTarget
from tripswitch.config.gateway_targets import ArgoRolloutsTarget, LitellmFileTarget, LitellmTarget
from tripswitch.config.registry_targets import (
    BraintrustTarget,
    FutureagiTarget,
    HeliconeTarget,
    LangfuseTarget,
    LangsmithTarget,
    MlflowTarget,
    PhoenixTarget,
    RegistrySection,
)
from tripswitch.config.target_sections import TargetSection, WebhookTarget
from tripswitch.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tripswitch.actions.rollback.contract import RollbackTarget


def open_target(
    target: TargetSection, client: httpx.AsyncClient, instance: str, now_ns: Callable[[], int]
) -> RollbackTarget:
    """Return the rollback target that an entry of the file describes; nothing is called."""
    match target:
        case WebhookTarget():
            return WebhookRollback(target, client, instance, now_ns)
        case FlagFileTarget():
            return FlagFile(target)
        case UnleashTarget():
            return UnleashFlag(target, client, now_ns)
        case LitellmTarget():
            return LitellmApi(target, client, now_ns)
        case LitellmFileTarget():
            return LitellmFile(target)
        case ArgoRolloutsTarget():
            return ArgoRollouts(target, client, now_ns)
        case RegistrySection():
            return _open_registry(target, client, now_ns)
        case _:
            raise _no_such_type(target)


def _open_registry(
    target: RegistrySection, client: httpx.AsyncClient, now_ns: Callable[[], int]
) -> RollbackTarget:
    match target:
        case MlflowTarget():
            return MlflowAlias(target, client, now_ns)
        case PhoenixTarget():
            return PhoenixTag(target, client, now_ns)
        case LangfuseTarget():
            return LangfuseLabel(target, client, now_ns)
        case LangsmithTarget():
            return LangsmithTag(target, client, now_ns)
        case BraintrustTarget():
            return BraintrustEnvironment(target, client, now_ns)
        case HeliconeTarget():
            return HeliconeEnvironment(target, client, now_ns)
        case FutureagiTarget():
            return FutureagiLabel(target, client, now_ns)
        case _:
            raise _no_such_type(target)


def _no_such_type(target: TargetSection) -> ConfigError:
    return ConfigError(f"rollback.targets[{target.name}]: no such type: {target.type}")
