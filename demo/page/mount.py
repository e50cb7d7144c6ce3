"""The page beside the API, with gradio's doors to the outside shut."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from demo.api.limits import Limits

if TYPE_CHECKING:
    import gradio as gr
    from fastapi import FastAPI

PAGE_AT_ONCE, PAGE_WAITING = 16, 256
"""Visitors who are answered at once, so that they are encoded together; and who wait."""


def mount(page: gr.Blocks, app: FastAPI, limits: Limits, appearance: Mapping[str, Any]) -> None:
    """Serve a page at "/"; `appearance` holds theme and style, as gradio takes them."""
    import gradio as gr

    page.queue(default_concurrency_limit=PAGE_AT_ONCE, max_size=PAGE_WAITING)
    gr.mount_gradio_app(
        app,
        page,
        "/",
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        max_file_size=limits.upload_mb * 10**6,
        **appearance,
    )
    page.has_launched = True  # else gradio lets a request name any file of the server as its upload
