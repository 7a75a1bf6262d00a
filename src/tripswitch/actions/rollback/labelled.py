"""Registries in which a label (alias, tag, environment) of a prompt stands at one version of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tripswitch.actions.rollback.api import Api
from tripswitch.actions.rollback.asked import word
from tripswitch.actions.rollback.pointer import Place, PointerTarget, Version, refusal

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

    async def prompt_text(self, name: str | None, said: str) -> str | Attempt:
        """Return the text of a version, or why there is none to be had; only reads.

        ``name`` is the prompt as the spans name it, ``said`` the version as they say it.
        """
        prompt = self._section.prompt or name
        if not prompt:
            return refusal("the spans carry no prompt name, and the target's prompt is not set")
        place = await self._identified(Place(prompt, self._section.label))
        if not isinstance(place, Place):
            return place
        version = await self._resolve(place, said)
        if not isinstance(version, Version):
            return version
        text = await self._text(place, version)
        return refusal(f"{self._section.type} gives no text of {said}") if text is None else text

    async def _text(
        self,
        place: Place,  # noqa: ARG002 - for registries whose versions are a prompt's
        version: Version,  # noqa: ARG002 - for registries that give texts
    ) -> str | Attempt | None:
        """Return the text of a version; None where the registry gives none in a known form."""
        return None

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
