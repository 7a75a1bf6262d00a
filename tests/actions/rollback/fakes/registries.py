"""The parts of hosted registries that move labels, as their specifications and own clients say."""

from __future__ import annotations

import base64
from typing import Any

from tests.actions.receiver import Answer
from tests.actions.rollback.fakes.server import Asking, FakeServer, Registry, listed, told

NOT_FOUND = told(404, message="not found")


class FakeRegistry(FakeServer):
    """One prompt, ``refund-bot``, in 18 versions, its label ``production`` at the last."""

    prompt = "refund-bot"

    def __init__(self) -> None:
        self.registry = Registry()
        super().__init__()

    def number(self, text: str) -> int | None:
        """Return a version that there is, None for one that there is not."""
        number = int(text) if text.isdigit() else 0
        return number if number in self.registry.versions else None


class FakeLangfuse(FakeRegistry):
    """Langfuse public API v2. The keys are pk-1 and sk-1; the prompt is in a folder."""

    prompt = "folder/refund-bot"

    def authorized(self, asking: Asking) -> bool:
        """Want Basic authentication."""
        wanted = base64.b64encode(b"pk-1:sk-1").decode()
        return asking.headers.get("authorization") == f"Basic {wanted}"

    def handled(self, asking: Asking) -> Answer:
        """Serve prompts and their labels."""
        if asking.segments[:4] != ("api", "public", "v2", "prompts"):
            return NOT_FOUND
        match asking.method, asking.segments[4:]:
            case "GET", ():
                return told(data=[], meta={})
            case "GET", (self.prompt,):
                label = asking.params.get("label", "production")
                number = self.number(
                    asking.params.get("version") or str(self.registry.labels.get(label, ""))
                )
                return NOT_FOUND if number is None else self._prompt(number)
            case "PATCH", (self.prompt, "versions", text):
                number = self.number(text)
                if number is None:
                    return NOT_FOUND
                for label in asking.data["newLabels"]:
                    self.registry.labels[label] = number
                return self._prompt(number)
        return NOT_FOUND

    def _prompt(self, number: int) -> Answer:
        labels = [name for name, at in self.registry.labels.items() if at == number]
        return told(
            id=f"id-{number}",
            createdAt="2026-01-01T00:00:00Z",
            updatedAt="2026-01-01T00:00:00Z",
            projectId="p",
            createdBy="API",
            name=self.prompt,
            version=number,
            type="text",
            prompt=f"text {number}",
            config={},
            labels=labels,
            tags=[],
            commitMessage=None,
            resolutionGraph=None,
            isActive=None,
        )


class FakePhoenix(FakeRegistry):
    """Phoenix's REST API; pages of its list are small, tag names are checked."""

    def authorized(self, asking: Asking) -> bool:
        """Want the bearer token."""
        return asking.headers.get("authorization") == "Bearer phoenix-key"

    def handled(self, asking: Asking) -> Answer:
        """Serve prompts, versions and tags."""
        match asking.method, asking.segments:
            case "GET", ("v1", "prompts"):
                return told(data=[], next_cursor=None)
            case "GET", ("v1", "prompts", self.prompt, "versions"):
                return self._page(asking.params)
            case "GET", ("v1", "prompts", self.prompt, "tags", tag):
                number = self.registry.labels.get(tag)
                return Answer(404, b"Not Found") if number is None else told(data=_opaque(number))
            case "GET", ("v1", "prompt_versions", version):
                for number in self.registry.versions:
                    if _opaque(number)["id"] == version:
                        part = {"type": "text", "text": f"text {number}"}
                        messages = [{"role": "system", "content": [part]}]
                        template = {"type": "chat", "messages": messages}
                        return told(data={**_opaque(number), "template": template})
                return Answer(404, b"Not Found")
            case "POST", ("v1", "prompt_versions", version, "tags"):
                for number in self.registry.versions:
                    if _opaque(number)["id"] == version:
                        self.registry.labels[asking.data["name"]] = number
                        return Answer(204)
                return Answer(422, b"Invalid prompt version ID")
        return Answer(404, b"Not Found")

    def _page(self, params: dict[str, str]) -> Answer:
        newest_first = sorted(self.registry.versions, reverse=True)
        start = int(params.get("cursor", "0"))
        rest = newest_first[start + 5 :]
        return told(
            data=[_opaque(number) for number in newest_first[start : start + 5]],
            next_cursor=str(start + 5) if rest else None,
        )


def _opaque(number: int) -> dict[str, str]:
    return {"id": base64.b64encode(f"PromptVersion:{number}".encode()).decode()}


class FakeLangsmith(FakeRegistry):
    """LangSmith's hub: commits with ids and hashes, tags set by one POST."""

    def authorized(self, asking: Asking) -> bool:
        """Want the key's header."""
        return asking.headers.get("x-api-key") == "ls-key"

    def handled(self, asking: Asking) -> Answer:
        """Serve commits and tags."""
        match asking.method, asking.segments:
            case "GET", ("api", "v1", "repos"):
                return told(repos=[])
            case "GET", ("api", "v1", "commits", "-", self.prompt):
                start = int(asking.params["offset"])
                newest_first = sorted(self.registry.versions, reverse=True)
                page = newest_first[start : start + int(asking.params["limit"])]
                return told(commits=[_commit(number) for number in page], total=len(newest_first))
            case "GET", ("api", "v1", "commits", "-", self.prompt, commit):
                for number in self.registry.versions:
                    if str(_commit(number)["commit_hash"]).startswith(commit):
                        return told(manifest={"kwargs": {"template": f"text {number}"}})
                return NOT_FOUND
            case "GET", ("api", "v1", "repos", "-", self.prompt, "tags"):
                return listed(
                    *(
                        {
                            "tag_name": name,
                            "commit_id": _commit(number)["id"],
                            "commit_hash": _commit(number)["commit_hash"],
                        }
                        for name, number in self.registry.labels.items()
                    )
                )
            case "POST", ("api", "v1", "repos", "-", self.prompt, "tags"):
                wanted = asking.data["commit_id"]
                for number in self.registry.versions:
                    if _commit(number)["id"] == wanted:
                        self.registry.labels[asking.data["tag_name"]] = number
                        return told(201, tag_name=asking.data["tag_name"])
        return NOT_FOUND


def _commit(number: int) -> dict[str, str]:
    return {
        "id": f"00000000-0000-0000-0000-{number:012d}",
        "commit_hash": f"{number:02d}ab{'c' * 60}",
    }


class FakeBraintrust(FakeRegistry):
    """Braintrust's API: one prompt by slug, versions by transaction id, environments."""

    def authorized(self, asking: Asking) -> bool:
        """Want the bearer token."""
        return asking.headers.get("authorization") == "Bearer bt-key"

    def handled(self, asking: Asking) -> Answer:
        """Serve prompts and environment objects."""
        match asking.method, asking.segments:
            case "GET", ("v1", "prompt"):
                slug = asking.params.get("slug", self.prompt)
                found = [{"id": "prompt-1", "slug": slug}] if slug == self.prompt else []
                return told(objects=found)
            case "GET", ("v1", "prompt", "prompt-1"):
                number = self.number(asking.params["version"].removeprefix("10001"))
                if number is None:
                    return NOT_FOUND
                content = [{"role": "system", "content": f"text {number}"}]
                data = {"prompt": {"type": "chat", "messages": content}}
                return told(id="prompt-1", _xact_id=xact(number), prompt_data=data)
            case "GET", ("environment-object", "prompt", "prompt-1", slug):
                number = self.registry.labels.get(slug)
                return NOT_FOUND if number is None else told(object_version=xact(number))
            case "PUT", ("environment-object", "prompt", "prompt-1", slug):
                number = self.number(asking.data["object_version"].removeprefix("10001"))
                if number is None:
                    return told(400, message="no such version")
                self.registry.labels[slug] = number
                return told(object_version=xact(number))
        return NOT_FOUND


def xact(number: int) -> str:
    """Return the transaction id of a version."""
    return f"10001{number:02d}"


class FakeHelicone(FakeRegistry):
    """Helicone's prompt API, whose reads are POSTs; versions are n.0."""

    def authorized(self, asking: Asking) -> bool:
        """Want the bearer token."""
        return asking.headers.get("authorization") == "Bearer he-key"

    def is_write(self, asking: Asking) -> bool:
        """Tell the one write from the reads."""
        return "update" in asking.segments

    def handled(self, asking: Asking) -> Answer:
        """Serve versions and environments."""
        rest = asking.segments[2:]
        if rest == ("environments",):
            return told(data=["production"])
        if asking.data["promptId"] != self.prompt:
            return NOT_FOUND
        if rest == ("query", "versions"):
            return told(data=[_helicone(number) for number in self.registry.versions])
        if rest == ("query", "environment-version"):
            number = self.registry.labels.get(asking.data["environment"])
            return NOT_FOUND if number is None else told(data=_helicone(number))
        number = self.number(asking.data["promptVersionId"].removeprefix("version-"))
        if number is None:
            return NOT_FOUND
        self.registry.labels[asking.data["environment"]] = number
        return Answer(200, b"null")


def _helicone(number: int) -> dict[str, Any]:
    return {"id": f"version-{number}", "major_version": number, "minor_version": 0}


class FakeFutureagi(FakeRegistry):
    """FutureAGI's model hub: templates and labels have ids, versions are named."""

    def authorized(self, asking: Asking) -> bool:
        """Want both headers."""
        headers = asking.headers
        return (headers.get("x-api-key"), headers.get("x-secret-key")) == ("fi-key", "fi-secret")

    def handled(self, asking: Asking) -> Answer:
        """Serve templates, labels and versions."""
        match asking.method, asking.segments[1:]:
            case "GET", ("prompt-templates",):
                return told(results=[{"id": "t-1", "name": self.prompt}])
            case "GET", ("prompt-labels",):
                return told(results=[{"id": "l-1", "name": "Production"}])
            case "GET", ("prompt-labels", "get-by-name"):
                number = self.registry.labels.get(asking.params["label"])
                return NOT_FOUND if number is None else told(id="t-1", version=f"v{number}")
            case "GET", ("prompt-history-executions",):
                held = [{"templateVersion": f"v{each}"} for each in self.registry.versions]
                return told(results=[*held, {"templateVersion": "v99", "isDraft": True}])
            case "POST", ("prompt-labels", "t-1", "l-1", "assign-label-by-id"):
                number = self.number(asking.data["version"].removeprefix("v"))
                if number is None:
                    return told(400, message="no such version")
                self.registry.labels["production"] = number
                return told(status=True)
        return NOT_FOUND
