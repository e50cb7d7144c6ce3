"""The `geoloc-train` command line."""

from __future__ import annotations

from cyclopts import App

from geoloc import __version__
from geoloc.cli.console import run
from training.cli.ablation import app as ablation_app
from training.cli.bundles.gallery import app as gallery_app
from training.cli.bundles.thumbnails import app as thumbnails_app
from training.cli.cells import app as cells_app
from training.cli.console import with_quiet
from training.cli.embed import assemble_app, embed_app
from training.cli.learn import app as learn_app
from training.cli.manifest import enrich_app, manifest_app
from training.cli.plan import app as plan_app
from training.cli.planet import app as planet_app
from training.cli.pretrain import finetune_app, pretrain_app
from training.cli.recipes import pigeon_app, pigeotto_app, retrieve_app
from training.cli.split import audit_app, split_app

app = App(
    name="geoloc-train",
    version=__version__,
    help="Make bundles: train models that locate photos, from photos with known places.",
)

for command in (
    learn_app, manifest_app, split_app, audit_app, cells_app, enrich_app, pretrain_app,
    finetune_app, embed_app, assemble_app, pigeon_app, pigeotto_app, retrieve_app,
    gallery_app, thumbnails_app, planet_app, plan_app, ablation_app,
):  # fmt: skip
    app.command(command)
    for each in (command, *(command[name] for name in command if not name.startswith("-"))):
        if each.default_command is not None:
            each.default_command = with_quiet(each.default_command)


def main() -> None:
    """Run the `geoloc-train` command."""
    run(app)


if __name__ == "__main__":
    main()
