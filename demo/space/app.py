"""The demo as a public Hugging Face Space; also runs with `python app.py`."""

import os

from demo.server import serve

PROXIES = ("10.0.0.0/8",)
"""Network of the proxies in front of a Space. Only their X-Forwarded-For header is trusted."""

FRAMES = ("https://huggingface.co",)
"""The site that shows Spaces in a frame."""

if __name__ == "__main__":
    port = int(os.environ.get("PORT", "7860"))
    raise SystemExit(
        serve(
            host="0.0.0.0",
            port=port,
            rate_limit=120,
            max_precision_km=25.0,
            upload_mb=32,
            proxy=PROXIES,
            allow_origin=FRAMES,
        )
    )
