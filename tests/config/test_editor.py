"""The schema's own words are what an editor shows; tests/stack tries it with a language server."""

from __future__ import annotations

from typing import Any

from tripswitch.config.reference import json_schema


def test_every_key_says_what_it_means_and_no_other_is_taken() -> None:
    schema = json_schema()
    for name, node in {"": schema, **schema["$defs"]}.items():
        if node.get("type") != "object":
            continue
        assert node["additionalProperties"] is False, name
        for key, field in node["properties"].items():
            of = schema["$defs"].get(field.get("$ref", "").rsplit("/", 1)[-1], field)
            assert field.get("description") or of.get("description"), f"{name}.{key}"


def test_the_kinds_of_an_entry_are_told_apart_by_a_word() -> None:
    definitions = json_schema()["$defs"]

    def kinds(section: str, field: str) -> list[Any]:
        of = definitions[section]["properties"] if section else json_schema()["properties"]
        found = of[field]["items"]["oneOf"]
        return [
            definitions[one["$ref"].rsplit("/", 1)[-1]]["properties"]["type"]["const"]
            for one in found
        ]

    for section, field in (("Rollback", "targets"), ("", "notify")):
        words = kinds(section, field)
        assert len(words) == len(set(words)) > 5
