"""The web page: its tabs, and mounting it beside the API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from demo.api.limits import Limits
from demo.page.runs import RUNS
from geoloc.guess import Guess

if TYPE_CHECKING:
    import gradio as gr
    from fastapi import FastAPI

    from demo.map.routes import OwnTiles
    from geoloc.geolocator import Geolocator

UPLOADS_KEPT_S = 300

SESSIONS = 1000
"""Visitors whose answers are kept in memory; beyond, those of the least recent one are dropped."""

RELEASE_EVERY_S = 10.0

NOT_KEPT = {"Cache-Control": "no-store"}
"""Headers of an answer that changes."""


def build(
    geolocators: Mapping[str, Geolocator],
    *,
    blur_location: Callable[[Guess], Guess] = lambda guess: guess,
    game_photos: Path | None = None,
    exact: bool = True,
    library: Path | None = None,
    limits: Limits | None = None,
) -> gr.Blocks:
    """Return the page. Serve it with the arguments of `demo.page.theme.appearance`.

    Args:
        geolocators: by bundle name; the first one is selected. Their encoders must be thread-safe.
        blur_location: applied to every guess; see `demo.security.precision`.
        game_photos: folder or table of photos for the game; default: the examples.
        exact: whether precision has no limit; else there is no tab "Library", whose places are not
            blurred, and no evidence beside the picture, by which places could be told apart.
        library: folder of photos of the server's owner, for that tab.
        limits: of the API, which answers the tab "Batch"; by default those of a server.

    Raises:
        GeolocError: the photos of the game cannot be read.
    """
    import gradio as gr

    from demo.page.game.tab import game_tab
    from demo.page.locate import locate_tab
    from demo.page.many.batch import batch_tab
    from demo.page.many.library import library_tab
    from demo.page.rendering import render

    names = list(geolocators)
    with gr.Blocks(
        title="Where was this photo taken?",
        analytics_enabled=False,
        delete_cache=(60, UPLOADS_KEPT_S),
    ) as page:
        with gr.Row(elem_classes="masthead"):
            gr.HTML(render("header.html"))
            bundle = gr.Dropdown(names, value=names[0], label="Model", visible=len(names) > 1)
        with gr.Tab("Locate"):
            locate_tab(geolocators, bundle, blur_location, exact)
        with gr.Tab("Batch"):
            batch_tab(names, bundle, limits or Limits())
        with gr.Tab("Library", visible=exact):
            if exact:
                library_tab(geolocators, bundle, library)
        with gr.Tab("Play"):
            game_tab(geolocators, bundle, blur_location, game_photos)
        gr.HTML(render("footer.html"))
    return page


def mount(
    page: gr.Blocks,
    app: FastAPI,
    limits: Limits,
    appearance: Mapping[str, Any],
    tiles: OwnTiles | None = None,
    root_path: str = "",
) -> None:
    """Serve a page at "/" of an application, without gradio's outgoing features.

    Args:
        page: from `build`.
        app: the application.
        limits: limits of requests.
        appearance: theme and style sheet, as gradio's arguments.
        tiles: shown above the base map; None shows the base map alone.
        root_path: of the server behind a proxy, as "/geoloc".
    """
    import gradio as gr

    from demo.map.routes import add_map
    from demo.page.events import CALL, EVENT, EventCheck, name_of_upload
    from demo.security.events import CheckedEvents, Uploads
    from demo.security.uploads import PAGE_UPLOAD

    add_map(app, tiles)
    app.router.routes.append(Route("/progress/{run}", _progress_reply, methods=["GET"]))
    page.state_session_capacity = SESSIONS
    gr.mount_gradio_app(
        app,
        page,
        "/",
        root_path=root_path or None,
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        max_file_size=limits.upload_mb * 10**6,
        **appearance,
    )
    # as in Colab, browsers reach gradio under an address that it cannot know, such as a proxy's
    page.config["is_colab"] = True
    # without this, gradio accepts any file of the server as an upload
    page.has_launched = True
    app.add_middleware(CheckedEvents, paths=(EVENT, CALL), check=EventCheck(page))
    app.add_middleware(Uploads, path=PAGE_UPLOAD, name=name_of_upload)


async def _progress_reply(request: Request) -> Response:
    """Answer how many photos of a run are read."""
    run = RUNS.of(request.path_params["run"])
    return JSONResponse({"photos": run.photos, "read": run.read}, headers=NOT_KEPT)


async def release_memory(page: gr.Blocks) -> None:
    """Call `release_sessions` periodically, until cancelled.

    Args:
        page: mounted by `mount`.
    """
    while True:
        await asyncio.sleep(RELEASE_EVERY_S)
        release_sessions(page)


def release_sessions(page: gr.Blocks, now: datetime | None = None) -> None:
    """Drop what gradio keeps of each visitor and the page does not need.

    Gradio never deletes a session. It holds the last value of each of its components, which only
    deep links read, and the page has none; and a copy of each component that was updated, although
    the events of the page change nothing but values and what is visible.

    Args:
        page: mounted by `mount`; called in the event loop that serves it.
        now: the current time, by default that of the clock.
    """
    from demo.page.locate import SESSION_S

    holder = page.state_holder
    oldest = (now or datetime.now()) - timedelta(seconds=SESSION_S)
    for name, session in list(holder.session_data.items()):
        session.config_values.clear()
        session.blocks_config.blocks.update(page.default_config.blocks)
        if holder.time_last_used[name] < oldest:
            del holder.session_data[name], holder.time_last_used[name]
