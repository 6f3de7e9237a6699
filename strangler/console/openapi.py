"""The OpenAPI document of the admin API, out of the table of its endpoints and the types of their bodies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec

from strangler import __version__
from strangler.console.endpoints import ENDPOINTS, Endpoint, Parameter
from strangler.console.problems import Problem

#: What every endpoint may say that is not open: no token, a foreign Host or Origin, a failure of ours.
_ALWAYS: Final = (401, 403, 500)
_JSON: Final = "application/json"


def document(endpoints: Iterable[Endpoint] = ENDPOINTS) -> dict[str, Any]:
    """The document (OpenAPI 3.1), ready for JSON."""
    listed = list(endpoints)
    schemas, components = _schemas(listed)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in listed:
        paths.setdefault(endpoint.path, {})[endpoint.method] = _operation(endpoint, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "strangler",
            "version": __version__,
            "summary": "The admin API of a reverse proxy that takes a legacy monolith apart.",
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        # Without a token in its environment, the listener asks for none.
        "security": [{"token": []}, {}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _schemas(endpoints: list[Endpoint]) -> tuple[dict[Any, Any], dict[str, Any]]:
    """What stands for each type, and the components that it refers to. Of what is sent, unknown keys are refused."""
    bodies = [endpoint.body for endpoint in endpoints if endpoint.body is not None]
    types = list(dict.fromkeys([Problem, *bodies, *_answered(endpoints)]))
    made, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    schemas = dict(zip(types, made, strict=True))
    for component in components.values():
        if "description" in component:  # a docstring, of Python, over several lines
            component["description"] = " ".join(component["description"].split()).replace("None", "null")
    for body in bodies:
        components[schemas[body]["$ref"].rpartition("/")[2]]["additionalProperties"] = False
    return schemas, components


def _answered(endpoints: Iterable[Endpoint]) -> Iterator[Any]:
    for endpoint in endpoints:
        for answer in endpoint.answers.values():
            yield from answer if isinstance(answer, tuple) else (answer,)


def _operation(endpoint: Endpoint, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    words = (word.strip("{}").replace(".", "_") for word in endpoint.path.split("/"))
    found: dict[str, Any] = {
        "operationId": "_".join([endpoint.method, *(word for word in words if word)]),
        "summary": endpoint.summary,
        "responses": _responses(endpoint, schemas),
    }
    if endpoint.parameters:
        found["parameters"] = [_parameter(parameter) for parameter in endpoint.parameters]
    if endpoint.body is not None:
        content = {_JSON: {"schema": schemas[endpoint.body]}}
        found["requestBody"] = {"required": endpoint.body_required, "content": content}
    if endpoint.is_open:
        found["security"] = []
    return found


def _responses(endpoint: Endpoint, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    found: dict[int, Any] = {
        status: _response(status, {_JSON: {"schema": _any_of(answer, schemas)}})
        for status, answer in endpoint.answers.items()
    }
    if endpoint.media:
        found[200] = _response(200, {media: {"schema": {"type": "string"}} for media in endpoint.media})
    told = {"application/problem+json": {"schema": schemas[Problem]}}
    for status in (*endpoint.problems, *((500,) if endpoint.is_open else _ALWAYS)):
        found[status] = _response(status, told)
    return {str(status): found[status] for status in sorted(found)}


def _any_of(answer: Any, schemas: Mapping[Any, Any]) -> Any:
    return {"anyOf": [schemas[each] for each in answer]} if isinstance(answer, tuple) else schemas[answer]


def _response(status: int, content: dict[str, Any]) -> dict[str, Any]:
    return {"description": HTTPStatus(status).phrase, "content": content}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if parameter.choices:
        schema["enum"] = list(parameter.choices)
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.required,
        "description": parameter.text,
        "schema": schema,
    }
