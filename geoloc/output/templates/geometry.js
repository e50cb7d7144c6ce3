// Geometry of the map: points have `lat` and `lon` in degrees, and `x` and `y` in map units.
const SMALLEST_WINDOW = 1, EARTH_RADIUS_KM = 6371.0088;

function project(lat, lon) {                              // must equal `mercator` of geoloc/output/svg_map.py
  const phi = Math.max(-85.05, Math.min(85.05, lat)) * Math.PI / 180;
  return [(lon + 180) / 360 * data.size, (.5 - Math.asinh(Math.tan(phi)) / (2 * Math.PI)) * data.size];
}

function unproject(x, y) {                                // the inverse of `project`
  const lon = ((x / data.size % 1 + 1) % 1) * 360 - 180;
  return [Math.atan(Math.sinh((.5 - y / data.size) * 2 * Math.PI)) * 180 / Math.PI, lon];
}

function nearestCopy(x, middle) {                         // the map repeats: the copy of `x` nearest to `middle`
  return x - data.size * Math.round((x - middle) / data.size);
}

function extent([left, top, width, height]) {             // left, top, right, bottom of the screen for a window
  const box = svg.getBoundingClientRect(), half = Math.max(width / box.width, height / box.height) / 2;
  const x = left + width / 2, y = top + height / 2;
  return [x - box.width * half, y - box.height * half, x + box.width * half, y + box.height * half];
}

function windowAround(left, top, right, bottom) {         // a square around a box, with a margin
  const side = Math.min(data.size, Math.max(SMALLEST_WINDOW, 1.25 * Math.max(right - left, bottom - top)));
  const y = Math.max(0, Math.min(data.size - side, (top + bottom - side) / 2));
  return [(left + right - side) / 2, y, side, side];
}

function windowOf(some) {                                 // the smallest such square; it may cross the antimeridian
  const xs = some.map(photo => photo.x).sort((a, b) => a - b), ys = some.map(photo => photo.y);
  let start = 0, gap = xs[0] + data.size - xs.at(-1);
  for (let i = 1; i < xs.length; i++) if (xs[i] - xs[i - 1] > gap) [gap, start] = [xs[i] - xs[i - 1], i];
  const [top, bottom] = range(ys);
  return windowAround(xs[start], top, xs[start] + data.size - gap, bottom);
}

function range(values) {                                  // spread arguments overflow the stack with 100,000
  return values.reduce(([least, most], value) => [Math.min(least, value), Math.max(most, value)], [Infinity, -Infinity]);
}

function circle(photo) {                                  // on the sphere; around a pole a wave as wide as the world
  const lat = photo.lat * Math.PI / 180, angle = Math.min(photo.radius_80_km, 20000) / EARTH_RADIUS_KM;
  const xs = [], ys = [];
  for (let degrees = 0; degrees <= 360; degrees += 2) {
    const bearing = degrees * Math.PI / 180;
    const north = Math.asin(Math.sin(lat) * Math.cos(angle) + Math.cos(lat) * Math.sin(angle) * Math.cos(bearing));
    const east = Math.atan2(Math.sin(bearing) * Math.sin(angle) * Math.cos(lat), Math.cos(angle) - Math.sin(lat) * Math.sin(north));
    const [x, y] = project(north * 180 / Math.PI, photo.lon + east * 180 / Math.PI);
    xs.push(nearestCopy(x, xs.at(-1) ?? photo.x));
    ys.push(y);
  }
  const mean = xs.reduce((sum, x) => sum + x) / xs.length, moved = nearestCopy(mean, photo.x) - mean;
  const path = xs.map((x, i) => `${i ? "L" : "M"}${(x + moved).toFixed(4)},${ys[i].toFixed(4)}`).join("");
  const reach = Math.max(...xs.map(x => Math.abs(x + moved - photo.x)));
  return {path, box: [photo.x - reach, Math.min(...ys), photo.x + reach, Math.max(...ys)]};
}
