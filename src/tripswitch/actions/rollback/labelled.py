"""Registries in which a label (alias, tag, environment) of a prompt stands at one version of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tripswitch.actions.rollback.api import Api
from tripswitch.actions.rollback.asked import word
from tripswitch.actions.rollback.pointer import Place, PointerTarget, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import httpx

    from tripswitch.actions.attempt import Attempt
    from tripswitch.actions.rollback.asked import Asked
    from tripswitch.config.registry_targets import RegistrySection


class LabelledTarget(PointerTarget):
    """What all prompt registries share: which prompt and which label a rollback means.

    ``secrets`` are the headers with the credentials. Raises `ConfigError` for an unusable URL.
    """

    def __init__(
        self,
        target: RegistrySection,
        client: httpx.AsyncClient,
        now_ns: Callable[[], int],
        secrets: Mapping[str, str],
    ) -> None:
        api = Api(
            target.url,
            f"rollback.targets[{target.name}].url",
            client,
            now_ns,
            timeout_s=target.timeout,
            secrets=secrets,
        )
        super().__init__(api, by_cohort=bool(target.cohort_labels))
        self._section = target

    @property
    def _answerless(self) -> Attempt:
        """The refusal of an answer that has not the form that the registry documents."""
        return refusal("the registry answered with something that is no version")

    def unmapped(self, said: str, expected: str) -> Attempt:
        """Return the refusal of a version that is none of this registry's."""
        return refusal(f'the spans say version "{word(said)}"; this registry needs {expected}')

    def gone(self, place: Place, said: str) -> Attempt:
        """Return the refusal of a version that the registry does not hold."""
        return refusal(f'the registry holds no version "{word(said)}" of "{word(place.thing)}"')

    def _place(self, wanted: Asked) -> Place | Attempt:
        if not self._section.does(wanted.path):
            return refusal(f"a label of a prompt is no lever for {word(wanted.path)}")
        prompt = self._section.prompt or wanted.scope.get("prompt_name")
        if not prompt:
            return refusal("the spans carry no prompt name, and the target's prompt is not set")
        if wanted.path != "cohort":
            return Place(prompt, self._section.label)
        label = self._section.cohort_labels.get(wanted.cohort or "")
        if label is None:
            return refusal(
                f'cohort "{word(wanted.cohort)}" has no label of its own in cohort_labels, and '
                f'moving "{self._section.label}" would move every cohort'
            )
        return Place(prompt, label)
