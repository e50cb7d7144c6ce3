"""HTML pages from Jinja2 templates, each one file that loads nothing from anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

SHARED = ("geoloc.output", "geoloc.output.map")
"""Packages whose templates, styles and scripts every other package may use."""


@cache
def environment(package: str = SHARED[0]) -> Environment:
    """Return the environment of a package's folder `templates`.

    Text is escaped automatically and an undefined name is an error. Templates that the package
    does not have come from `SHARED`. Beside Jinja's own, templates have

    - `{{ inline("map.css") }}`: the text of a style sheet or script, not rendered: braces and
      quotes in it mean nothing to Jinja;
    - `{{ data | script_json }}`: see `script_json`.

    Args:
        package: name of an importable package with a folder `templates`.
    """
    loaders = [PackageLoader(name) for name in dict.fromkeys((package, *SHARED))]
    made = Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.globals["inline"] = lambda name: Markup(_source(made, name))
    made.filters["script_json"] = lambda data: Markup(script_json(data))
    return made


def render(template: str, package: str = SHARED[0], **values: Any) -> str:  # noqa: ANN401
    """Return a rendered template.

    Args:
        template: file name in the folder `templates` of the package.
        package: see `environment`.
        values: names that the template uses.

    Raises:
        jinja2.TemplateNotFound: neither the package nor one of `SHARED` has the template.
        jinja2.UndefinedError: the template uses a name that has no value.
    """
    return _template(template, package).render(values)


def stream(template: str, package: str = SHARED[0], **values: Any) -> Iterator[str]:  # noqa: ANN401
    """Yield a rendered template in pieces, for pages of any length; see `render`."""
    return _template(template, package).generate(values)


def script_json(data: Any) -> str:  # noqa: ANN401
    """Return compact JSON that may stand inside a script element.

    Only "<" is escaped, which is enough to prevent "</script>" and "<!--". Jinja's `tojson` also
    escapes ampersands, quotes and every character beyond ASCII, and sorts keys.

    Raises:
        ValueError: a number is infinite or NaN.
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _template(name: str, package: str) -> Template:
    return environment(package).get_template(name)


def _source(made: Environment, name: str) -> str:
    loader = made.loader
    if loader is None:  # `environment` always sets one
        raise RuntimeError("the Jinja environment has no loader")
    return loader.get_source(made, name)[0].rstrip("\n")
