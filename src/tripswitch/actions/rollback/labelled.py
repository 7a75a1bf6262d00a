"""Registries in which a label (alias, tag, environment) of a prompt stands at one version of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tripswitch.actions.rollback.asked import word
from tripswitch.actions.rollback.pointer import Place, PointerTarget, refusal

if TYPE_CHECKING:
    from tripswitch.actions.attempt import Attempt
    from tripswitch.actions.rollback.api import Api
    from tripswitch.actions.rollback.asked import Asked
    from tripswitch.config.registry_targets import RegistrySection


class LabelledTarget(PointerTarget):
    """What all prompt registries share: which prompt and which label a rollback means."""

    def __init__(self, api: Api, target: RegistrySection) -> None:
        super().__init__(api, by_cohort=bool(target.cohort_labels))
        self._section = target

    def unmapped(self, said: str, expected: str) -> Attempt:
        """Return the refusal of a version that is none of this registry's."""
        return refusal(f'the spans say version "{word(said)}"; this registry needs {expected}')

    def gone(self, place: Place, said: str) -> Attempt:
        """Return the refusal of a version that the registry does not hold."""
        return refusal(f'the registry holds no version "{word(said)}" of "{word(place.thing)}"')

    def _place(self, wanted: Asked) -> Place | Attempt:
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
