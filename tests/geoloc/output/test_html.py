"""The Jinja environment: escaping, undefined names, inlined files and JSON in scripts."""

import json

import pytest
from jinja2 import UndefinedError

from geoloc.output.html import environment, script_json

HOSTILE = "</script><!--<img src=x onerror=alert(1)>&\"'"


def test_text_is_escaped():
    page = environment().from_string("<p>{{ text }}</p>").render(text="<b>&")
    assert page == "<p>&lt;b&gt;&amp;</p>"


def test_undefined_name_is_an_error():
    with pytest.raises(UndefinedError, match="missing"):
        environment().from_string("{{ missing }}").render()


def test_style_sheet_is_inlined_without_rendering_it():
    page = environment().from_string('<style>{{ inline("map.css") }}</style>').render()
    assert "--map-sea:" in page
    assert "&" not in page


def test_json_in_a_script_cannot_end_it():
    page = environment().from_string("<script>{{ data | script_json }}</script>")
    text = page.render(data={"b": HOSTILE, "a": "Zürich"})
    script = text.removeprefix("<script>").removesuffix("</script>")
    assert "<" not in script
    assert list(json.loads(script).items()) == [("b", HOSTILE), ("a", "Zürich")]


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_json_does_not_have_are_refused(number):
    with pytest.raises(ValueError, match="JSON"):
        script_json([number])
