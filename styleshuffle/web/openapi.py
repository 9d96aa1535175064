"""The description of the HTTP interface (OpenAPI 3.1), made from the settings and the limits."""

from __future__ import annotations

from dataclasses import Field, fields
from typing import Any

from .. import __version__
from ..settings import Settings, rule_of
from .limits import Limits
from .requests import FORMATS, PREVIEW_SIDE, PREVIEW_SIDES

_TYPES = {int: "integer", float: "number", str: "string", bool: "boolean"}
_ERROR = {
    "description": "One sentence that says why.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
}
_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}


def description(limits: Limits) -> dict[str, Any]:
    """The whole description, as JSON."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "styleshuffle-web",
            "version": __version__,
            "description": "Give photographs the look of a painting. An error is one sentence as JSON, with a status "
            "code that fits: 4xx where the client can mend it. 429 and 503 say in Retry-After when to try again.",
        },
        "paths": {**_picture_paths(limits), **_job_paths(), **_other_paths()},
        "components": {"schemas": _schemas(limits)},
    }


def _picture_paths(limits: Limits) -> dict[str, Any]:
    most = f"At most {limits.upload_bytes // 2**20} MiB and {limits.upload_pixels:,} pixels."
    query = [_query("name", "string", "of the file"), _query("page", "string", "the same word as in your jobs")]
    side = _query("side", "integer", "long side in pixels; default 1024")
    binary = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
    return {
        "/api/pictures": {
            "post": {
                "summary": f"Send a picture: its bytes are the body. {most}",
                "parameters": query,
                "requestBody": {"required": True, **binary},
                "responses": _answers("201", "Its id, name and size.", 413, 422, 503),
            }
        },
        "/api/pictures/{id}": {
            "get": {
                "summary": "A picture of yours or of the library, made smaller, as JPEG or PNG.",
                "parameters": [_ID, side],
                "responses": _answers("200", "The picture.", 404, 422),
            },
            "delete": {
                "summary": "Delete a picture of yours.",
                "parameters": [_ID],
                "responses": _answers("204", "It is deleted.", 404),
            },
        },
    }


def _job_paths() -> dict[str, Any]:
    body = {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}}
    index = {"name": "index", "in": "path", "required": True, "schema": {"type": "integer"}}
    events = (
        "Follow a job by server-sent events: `state` with the job as JSON, `frame` with the unfinished picture as a data "
        "URL. The stream ends with the job. A preview that nobody follows any more is stopped."
    )
    return {
        "/api/jobs": {
            "post": {
                "summary": "Start a job with pictures that were sent before.",
                "requestBody": body,
                "responses": _answers("202", "The job.", 404, 413, 422, 429),
            }
        },
        "/api/jobs/{id}": {
            "get": {
                "summary": "How far a job is.",
                "parameters": [_ID],
                "responses": _answers("200", "The job.", 404),
            },
            "delete": {
                "summary": "Stop a job; after its end, delete its result.",
                "parameters": [_ID],
                "responses": _answers("204", "It is stopped or deleted.", 404),
            },
        },
        "/api/jobs/{id}/events": {
            "get": {"summary": events, "parameters": [_ID], "responses": _answers("200", "The events.", 404)}
        },
        "/api/jobs/{id}/result": {
            "get": {
                "summary": "The result: a picture, or a zip file if there were several photographs.",
                "parameters": [_ID],
                "responses": _answers("200", "The file.", 404, 409, 413, 422),
            }
        },
        "/api/jobs/{id}/thumbnails/{index}": {
            "get": {
                "summary": "A small picture of a result, as soon as it is painted.",
                "parameters": [_ID, index],
                "responses": _answers("200", "The picture.", 404),
            }
        },
    }


def _other_paths() -> dict[str, Any]:
    form = {"required": True, "content": {"multipart/form-data": {"schema": {"$ref": "#/components/schemas/Form"}}}}
    body = {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}}
    return {
        "/api/paint": {
            "post": {
                "summary": "Send photograph, style and settings in a form, and get the picture; with wait=no, a job.",
                "requestBody": form,
                "responses": {
                    **_answers("200", "The picture, or a zip file if there were several photographs.", 413, 422, 429),
                    "202": {"description": "The job, with wait=no."},
                },
            }
        },
        "/api/recipe": {
            "post": {
                "summary": "The command and the lines of Python that make the same picture.",
                "requestBody": body,
                "responses": _answers("200", "Both, as text.", 404, 422),
            }
        },
        "/api/styles": {"get": {"summary": "The library of styles.", "responses": _answers("200", "Ids and names.")}},
        "/api/options": {
            "get": {"summary": "All settings with their ranges, and the limits.", "responses": _answers("200", "Both.")}
        },
        "/api/pages/{id}/close": {
            "post": {
                "summary": "A page is done: stop its jobs and delete its pictures.",
                "parameters": [_ID],
                "responses": _answers("204", "Done."),
            }
        },
    }


def _query(name: str, kind: str, text: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": {"type": kind}, "description": text}


def _answers(status: str, text: str, *errors: int) -> dict[str, Any]:
    return {status: {"description": text}, **{str(error): _ERROR for error in errors}}


# -------------------------------------------------------------------------------------------------------- the schemas


def _schemas(limits: Limits) -> dict[str, Any]:
    settings = {setting.name: _schema(setting) for setting in fields(Settings)}
    id: dict[str, Any] = {"type": "string"}
    style = {"type": "object", "properties": {"id": id, "weight": {"type": "number"}, "regions": id}, "required": ["id"]}
    file = {"type": "string", "format": "binary"}
    side = {"type": "integer", "default": PREVIEW_SIDE, "minimum": PREVIEW_SIDES[0], "maximum": PREVIEW_SIDES[1]}
    format = {"type": "string", "enum": list(FORMATS), "default": "png"}
    page = {"type": "string", "description": "Any word of yours. A newer preview of a page stops its older previews."}
    order = {
        "page": page,
        "kind": {"type": "string", "enum": ["preview", "final"], "default": "final"},
        "contents": {"type": "array", "items": id, "minItems": 1, "maxItems": limits.contents},
        "styles": {"type": "array", "items": {"anyOf": [id, style]}, "minItems": 1},
        "settings": {"$ref": "#/components/schemas/Settings"},
        "side": {**side, "description": "Long side of a preview."},
        "format": format,
        "strength_mask": id,
        "regions": id,
        "folder": {"type": "boolean", "description": "A zip file even for one photograph.", "default": False},
    }
    form = {
        "content": {**file, "description": "May come several times."},
        "style": {**file, "description": "Or the id of a style of the library."},
        "wait": {"type": "string", "enum": ["yes", "no"], "default": "yes"},
        "format": format,
        **settings,
    }
    return {
        "Settings": {"type": "object", "properties": settings, "additionalProperties": False},
        "Order": {"type": "object", "properties": order, "required": ["contents", "styles"]},
        "Form": {"type": "object", "properties": form, "required": ["content", "style"]},
        "Error": {"type": "object", "properties": {"error": {"type": "string"}}},
    }


def _schema(setting: Field[Any]) -> dict[str, Any]:
    rule = rule_of(setting)
    value: dict[str, Any] = {"type": _TYPES[rule.kind]}
    if rule.choices:
        value["enum"] = list(rule.choices)
    elif rule.kind in (int, float):
        value |= {"minimum": rule.low, "maximum": rule.high}
    if rule.levels is not None:
        value = {"type": "array", "items": value}
    if rule.each_style:
        value = {"anyOf": [value, {"type": "array", "items": value}]}
    if rule.optional:
        value = {**value, "type": [value["type"], "null"]}
    default = list(setting.default) if isinstance(setting.default, tuple) else setting.default
    return {**value, "description": rule.help, "default": default}
