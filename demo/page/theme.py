"""Theme of the page: colours for light and dark mode, shapes and fonts."""

from __future__ import annotations

from typing import Any

from demo.page.rendering import map_file, static_file

PAPER, PANEL, INK, SOFT, LINE = "#f7f4ee", "#fffdf9", "#1d262b", "#566169", "#ddd6c8"
PAPER_DARK, PANEL_DARK, INK_DARK, SOFT_DARK, LINE_DARK = (
    "#12181c", "#1a2228", "#e9e6df", "#a3adb3", "#323d45",
)  # fmt: skip
ACCENT, ACCENT_DARK = "#b4400f", "#ff9a5a"


def appearance() -> dict[str, Any]:
    """Return theme and style sheet, as arguments of `Blocks.launch` and `mount_gradio_app`."""
    return {"theme": _theme(), "css": map_file("map.css") + static_file("page.css")}


def _theme() -> Any:  # noqa: ANN401
    from gradio.themes import Base
    from gradio.themes.utils import colors
    from gradio.themes.utils.fonts import LocalFont

    theme = Base(
        primary_hue=colors.orange,
        neutral_hue=colors.stone,
        radius_size="lg",
        text_size="md",
        # gradio ships the full character sets of this font and these weights only
        font=[LocalFont("Source Sans Pro", (400, 700)), "system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )
    return theme.set(**_pairs(_COLOURS), **_SHAPES)


_COLOURS = {
    "body_background_fill": (PAPER, PAPER_DARK),
    "body_text_color": (INK, INK_DARK),
    "body_text_color_subdued": (SOFT, SOFT_DARK),
    "background_fill_primary": (PANEL, PANEL_DARK),
    "background_fill_secondary": (PAPER, PAPER_DARK),
    "border_color_primary": (LINE, LINE_DARK),
    "border_color_accent": (ACCENT, ACCENT_DARK),
    "color_accent_soft": ("#fbeadf", "#3a2a20"),
    "link_text_color": (ACCENT, ACCENT_DARK),
    "link_text_color_hover": (INK, INK_DARK),
    "link_text_color_visited": (ACCENT, ACCENT_DARK),
    "block_background_fill": (PANEL, PANEL_DARK),
    "block_border_color": (LINE, LINE_DARK),
    "block_label_background_fill": (PANEL, PANEL_DARK),
    "block_label_text_color": (SOFT, SOFT_DARK),
    "block_title_text_color": (INK, INK_DARK),
    "block_info_text_color": (SOFT, SOFT_DARK),
    "input_background_fill": (PANEL, PAPER_DARK),
    "input_border_color": ("#8d8778", "#65717a"),
    "input_border_color_focus": (ACCENT, ACCENT_DARK),
    "input_placeholder_color": (SOFT, SOFT_DARK),
    "checkbox_label_background_fill": (PANEL, PAPER_DARK),
    "checkbox_label_background_fill_selected": ("#fbeadf", "#3a2a20"),
    "checkbox_label_border_color": (LINE, LINE_DARK),
    "checkbox_label_border_color_selected": (ACCENT, ACCENT_DARK),
    "checkbox_label_text_color_selected": (INK, INK_DARK),
    "checkbox_background_color_selected": (ACCENT, ACCENT_DARK),
    "checkbox_border_color_selected": (ACCENT, ACCENT_DARK),
    "button_primary_background_fill": (ACCENT, ACCENT_DARK),
    "button_primary_background_fill_hover": ("#933207", "#ffb285"),
    "button_primary_border_color": (ACCENT, ACCENT_DARK),
    "button_primary_border_color_hover": (ACCENT, ACCENT_DARK),
    "button_primary_text_color": ("#ffffff", PAPER_DARK),
    "button_primary_text_color_hover": ("#ffffff", PAPER_DARK),
    "button_secondary_background_fill": (PANEL, PANEL_DARK),
    "button_secondary_background_fill_hover": (PAPER, LINE_DARK),
    "button_secondary_border_color": ("#b9b09d", "#4c5860"),
    "button_secondary_text_color": (INK, INK_DARK),
    "button_secondary_text_color_hover": (INK, INK_DARK),
    "loader_color": (ACCENT, ACCENT_DARK),
}

_SHAPES = {
    "button_border_width": "1px",
    "input_border_width": "1px",
    "block_border_width": "1px",
    "block_label_border_width": "0px",
    "block_shadow": "none",
    "block_title_text_weight": "600",
    "button_large_text_weight": "600",
    "button_primary_shadow": "none",
    "button_secondary_shadow": "none",
    "input_shadow": "none",
    "input_shadow_focus": "none",
    "checkbox_label_shadow": "none",
}


def _pairs(colours: dict[str, tuple[str, str]]) -> dict[str, str]:
    light = {name: pair[0] for name, pair in colours.items()}
    return light | {f"{name}_dark": pair[1] for name, pair in colours.items()}
