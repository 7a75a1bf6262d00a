"""The Argo Rollouts target: one patch under the resource version, and only what it can undo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.actions.receiver import CUT, Answer
from tests.actions.rollback.fakes.server import Asking, FakeServer, Fault, told
from tests.actions.rollback.kinds import ask, asking, carried_out, planned, section_of
from tripswitch.actions.attempt import Attempt, AttemptState
from tripswitch.errors import ConfigError
from tripswitch.model.outbox import Effect

LABEL = "app.kubernetes.io/version"
ROLLOUTS = ("apis", "argoproj.io", "v1alpha1", "namespaces", "chat", "rollouts", "refund-bot")


def template(version: str) -> dict[str, Any]:
    return {"template": {"metadata": {"labels": {LABEL: version}}}}


class FakeKubernetes(FakeServer):
    """One Rollout and the ReplicaSet of its stable version."""

    def __init__(self, **status: Any) -> None:
        self.resource_version = 7
        self.version, self.stable = "v18", "v17"
        self.status: dict[str, Any] = {"stableRS": "good", "currentPodHash": "bad", **status}
        self.token = "kube-token"
        super().__init__()

    def authorized(self, asking: Asking) -> bool:
        """Want the token."""
        return asking.headers.get("authorization") == f"Bearer {self.token}"

    def handled(self, asking: Asking) -> Answer:
        """Serve both, and patch the status under its resource version."""
        if asking.segments[-1] == "replicasets":
            assert asking.params["labelSelector"] == "rollouts-pod-template-hash=good"
            return told(items=[{"spec": template(self.stable)}])
        if asking.method == "GET" and asking.segments == ROLLOUTS:
            metadata = {"resourceVersion": str(self.resource_version)}
            return told(metadata=metadata, spec=template(self.version), status=self.status)
        if asking.method == "PATCH" and asking.segments == (*ROLLOUTS, "status"):
            assert asking.headers["content-type"] == "application/merge-patch+json"
            if asking.data["metadata"]["resourceVersion"] != str(self.resource_version):
                return told(409, message="the object has been modified")
            self.status |= asking.data["status"]
            self.resource_version += 1
            return told()
        return told(404, message="not found")


def section(fake: FakeKubernetes, **fields: Any) -> Any:
    entry = {"type": "argo_rollouts", "url": fake.url, "token": "kube-token", "timeout": 5.0}
    return section_of({**entry, "namespace": "chat", "rollout": "refund-bot", **fields})


def done(fake: FakeKubernetes, wanted: Effect, **fields: Any) -> tuple[Attempt, str]:
    return ask(section(fake, **fields), lambda one: carried_out(one, wanted))


def test_a_rollout_under_way_is_aborted_once_and_goes_on_when_undone() -> None:
    with FakeKubernetes() as fake:
        attempt, kept = done(fake, asking("v18", "v17"))
        assert attempt.state is AttemptState.DONE, attempt.detail
        assert fake.status.get("abort") is True
        assert "nothing was sent" in done(fake, asking("v18", "v17"))[0].detail
        assert len(fake.writes) == 1
        undo = asking("v17", "v18", undoes="rb-1", kept=kept)
        attempt, _ = done(fake, undo)
        assert attempt.state is AttemptState.DONE, attempt.detail
        assert fake.status.get("abort") is False
        assert "nothing was sent" in done(fake, undo)[0].detail
        fake.version = "v19"
        assert "left alone" in done(fake, undo)[0].detail
        assert "wrote nothing" in done(fake, asking("v17", "v18", undoes="rb-1"))[0].detail


@pytest.mark.parametrize(
    ("version", "stable", "status", "words"),
    [
        ("v19", "v17", {}, "a person moved it"),
        ("v18", "v16", {}, "stable version is v16"),
        ("v18", "v17", {"currentPodHash": "good"}, "abort cannot go back"),
        ("", "v17", {}, "has no label"),
    ],
)
def test_what_an_abort_would_not_put_right_is_refused_in_words(
    version: str, stable: str, status: dict[str, str], words: str
) -> None:
    with FakeKubernetes(**status) as fake:
        fake.version, fake.stable = version, stable
        attempt, _ = done(fake, asking("v18", "v17"))
        assert attempt.state is AttemptState.FAILED
        assert words in attempt.detail
        assert not fake.writes


def test_a_rollout_that_changed_since_is_looked_at_again() -> None:
    with FakeKubernetes() as fake:

        async def raced(target: Any) -> Attempt:
            call = await planned(target, asking("v18", "v17"))
            fake.resource_version += 1
            attempt: Attempt = await target.apply(call, lambda: None)
            return attempt

        attempt = ask(section(fake), raced)
        assert (attempt.state, attempt.status) == (AttemptState.RETRY, 409)
        assert "abort" not in fake.status


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (401, AttemptState.FAILED),
        (403, AttemptState.FAILED),
        (404, AttemptState.FAILED),
        (429, AttemptState.RETRY),
        (500, AttemptState.RETRY),
    ],
)
def test_a_patch_that_is_refused(status: int, state: AttemptState) -> None:
    with FakeKubernetes() as fake:
        fake.write_faults = [Fault(told(status, message="forbidden for kube-token"))]
        attempt, _ = done(fake, asking("v18", "v17"))
        assert (attempt.state, attempt.status) == (state, status)
        assert "kube-token" not in attempt.detail


def test_a_lost_answer_is_unknown_and_read_back() -> None:
    with FakeKubernetes() as fake:
        fake.write_faults = [Fault(CUT, acts=True)]
        assert done(fake, asking("v18", "v17"))[0].state is AttemptState.UNKNOWN
        assert ask(section(fake), lambda one: one.snapshot(asking("v18", "v17"))).applied


@pytest.mark.parametrize("answer", [told(401), told(500), CUT, Answer(200, b"<html>"), told()])
def test_what_cannot_be_read_is_not_written(answer: Answer) -> None:
    with FakeKubernetes() as fake:
        fake.read_fault = answer
        attempt, _ = done(fake, asking("v18", "v17"))
        assert attempt.state in (AttemptState.FAILED, AttemptState.RETRY)
        assert ask(section(fake), lambda one: one.probe()).usable is False
        assert not fake.writes


def test_the_token_is_read_anew_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    with FakeKubernetes() as fake:
        kept = section(fake, token_file=str(file), token="")
        fake.token = "next"
        assert ask(kept, lambda one: one.probe()).usable is False
        file.write_text("next\n", encoding="utf-8")
        assert ask(kept, lambda one: one.probe()).usable


def test_it_never_acts_by_itself_and_says_what_moves() -> None:
    with FakeKubernetes() as fake:
        assert not section(fake).is_verified
        radius = section(fake).radius
        assert (radius("canary"), radius("beta"), radius(None)) == ("cohort", "route", "route")
        with pytest.raises(ConfigError, match="ca_file: cannot be read"):
            ask(section(fake, ca_file="/nowhere"), lambda one: one.probe())
