"""`locate_library`: place all photos of a library together."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from geoloc.belief.witnesses.options import WitnessOptions
from geoloc.geolocator import Geolocator
from geoloc.io.progress import NullReporter, Reporter
from geoloc.trips import answers, stays
from geoloc.trips.clues import cameras, positions, tracks
from geoloc.trips.clues import photos as reading
from geoloc.trips.journey import Times, set_clocks
from geoloc.trips.model import persons
from geoloc.trips.model.parameters import FILE, TripParameters
from geoloc.trips.model.placing import Placement
from geoloc.trips.moves import Sights
from geoloc.trips.trip import Trip
from geoloc.types import Float64Array

PathLike = str | os.PathLike[str]


UNCALIBRATED = "radii are estimates: this bundle was not calibrated on journeys"


def locate_library(
    photos: PathLike | Iterable[PathLike],
    tracks: Sequence[PathLike] = (),
    *,
    bundle: PathLike | Geolocator | None = None,
    fixed: PathLike | None = None,
    clocks: Mapping[str, float] | None = None,
    assume_order: bool = False,
    asked: WitnessOptions | None = None,
    cache: PathLike | None = None,
    report: Reporter | None = None,
) -> Trip:
    """Place all photos of a library by their geotags, times and pictures, and by tracks.

    GPS positions in the files are taken as true, as the caller asks for a trip.

    Args:
        photos: a folder, or paths of photos and folders.
        tracks: files of GPS tracks: GPX, KML, KMZ, FIT, or Google Timeline.
        bundle: name or path of a bundle, or a `Geolocator`; None for the default bundle.
        fixed: a table of photos with known places; columns as in every table of photos.
        clocks: seconds to add to the times of a camera, by its name.
        assume_order: take the order of the files as their time where no photo has one.
        asked: which witnesses are asked about the photos besides their pictures.
        cache: folder of cached embeddings; None for no cache.
        report: receives progress and problems.

    Raises:
        GeolocError: there are no readable photos, or a track, table or bundle cannot be used.
    """
    report = report or NullReporter()
    locator = bundle if isinstance(bundle, Geolocator) else Geolocator.from_bundle(bundle)
    parameters = TripParameters.read(locator.bundle.path / FILE)
    read = _read_tracks(tracks)
    asked = asked or WitnessOptions()
    counted = asked != WitnessOptions()  # what is only shown has no place in a trip
    witnesses = asked.witnesses(locator.cells, report.problem) if counted else ()
    locator = locator.with_witnesses(witnesses)
    library = reading.read(photos, locator, Path(cache) if cache else None, report)
    trip = place_library(
        library, parameters, read, fixed, clocks, assume_order=assume_order, report=report
    )
    return replace(trip, bundle=locator.name)


def place_library(
    library: reading.Library,
    parameters: TripParameters,
    read: tuple[list[tracks.Track], list[str]] = ([], []),
    fixed: PathLike | None = None,
    clocks: Mapping[str, float] | None = None,
    *,
    assume_order: bool = False,
    report: Reporter | None = None,
) -> Trip:
    """Place N photos that were read, by their evidence; see `locate_library`.

    Args:
        library: N photos.
        parameters: of the model.
        read: tracks, and the problems of reading them.
        fixed: as for `locate_library`.
        clocks: as for `locate_library`.
        assume_order: as for `locate_library`.
        report: receives progress and problems.
    """
    report = report or NullReporter()
    photos, evidence = library.photos, library.evidence
    known = np.array([[photo.lat, photo.lon] for photo in photos], np.float64).reshape(-1, 2)
    problems = [*library.problems, *read[1]]
    if fixed is not None:
        given, lines = positions.read_fixed(fixed, [photo.photo for photo in photos])
        known = np.where(np.isnan(given), known, given)
        problems += lines
    times = set_clocks(
        photos,
        Sights(known, evidence, parameters),
        read[0],
        clocks,
        assume_order=assume_order,
    )
    used, lines = positions.fitting(read[0], times.utc_s, known)
    problems += [*times.problems, *lines]
    doubts = [] if parameters.calibrated else [UNCALIBRATED]
    report.stage("placing photos", len(photos))
    # a drawing is of no scene and no journey, even if it has a time
    drawn = np.array([photo.drawn for photo in photos]) & np.isnan(known[:, 0])
    placed = persons.place_all(
        cameras.told_apart(photos),
        [photo.photo for photo in photos],
        np.where(drawn, np.nan, times.utc_s),
        known,
        evidence,
        parameters,
        positions.anchors(used) if used else None,
    )
    placed.case[drawn], placed.latlon[drawn] = "nowhere", np.nan
    report.advance(len(photos))
    for line in problems[len(library.problems) :]:
        report.problem(line)
    for line in doubts:
        report.note(line)
    return _trip(library, placed, times, used, [*problems, *doubts])


def _trip(
    library: reading.Library,
    placed: Placement,
    times: Times,
    used: list[tracks.Track],
    problems: list[str],
) -> Trip:
    shown: Float64Array = np.full_like(times.utc_s, np.nan) if times.by_order else times.utc_s
    found = stays.find(shown, placed.latlon, placed.radii_km[:, 1])
    return Trip(
        library=library.name,
        bundle="",
        photos=answers.write(library.photos, placed, shown, times.zone_s, found),
        stays=answers.write_stays(found, shown, times.zone_s),
        clocks=tuple(times.clocks),
        tracks=tuple(track.shown() for track in used),
        problems=tuple(problems),
    )


def _read_tracks(paths: Sequence[PathLike]) -> tuple[list[tracks.Track], list[str]]:
    found, problems = [], []
    for path in paths:
        track, lines = tracks.read(path)
        found.append(track)
        problems += lines
    return found, problems
