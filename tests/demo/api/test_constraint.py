"""Constraints of requests: parsed once, by the same steps as those of the library."""

import asyncio
import io

import pytest

pytest.importorskip("fastapi", reason="the demo extra is not installed")

from starlette.datastructures import UploadFile

from demo.api.limits import Limits
from demo.api.service import Service, Upload
from geoloc.belief.witnesses.options import BY_DEFAULT
from geoloc.errors import ConstraintError
from tests.demo.fake_service import ColourGeolocator, photo_of
from tests.demo.services import jpeg


class Counting(ColourGeolocator):
    """Counts the constraints that it parses, and the photos that are answered with one."""

    parsed = constrained = 0

    def parse(self, within):
        self.parsed += 1
        return super().parse(within)

    def guess(self, embeddings, photos, top=5, constraint=None):
        self.constrained += len(photos) if constraint is not None else 0
        return super().guess(embeddings, photos, top, constraint)


def uploads(count):
    contents = [jpeg(photo_of(number), "PNG") for number in range(count)]
    return [Upload(UploadFile(io.BytesIO(content), filename="x.png")) for content in contents]


@pytest.mark.parametrize("way", ["locate", "stream", "batch"])
def test_the_constraint_of_a_request_is_parsed_once(way):
    geolocator = Counting()
    service = Service({"fake": geolocator}, Limits())
    options = service.options(
        None, asked=BY_DEFAULT, top=3, within="Tasmania, Australia", together=False
    )

    async def answers():
        if way == "stream":
            return [answer async for answer in service.stream(uploads(3), options)]
        if way == "locate":
            return await service.locate(uploads(3), options)
        job = await service.batch(uploads(3), options, "client")
        while not job.done:
            await asyncio.sleep(0.01)
        return job.results

    found = asyncio.run(answers())
    service.close()
    assert [answer.error for answer in found] == [None] * 3
    assert (geolocator.parsed, geolocator.constrained) == (1, 3)


def test_a_mask_stays_as_it_is_and_a_file_name_is_refused():
    geolocator = ColourGeolocator()
    mask = geolocator.restrict("Tasmania, Australia")
    assert geolocator.restrict(mask) is mask
    assert geolocator.restrict(None) is None
    for name in ("/etc/places.geojson", ["Tasmania", " x.JSON "]):
        with pytest.raises(ConstraintError, match="file name"):
            geolocator.restrict(name)
