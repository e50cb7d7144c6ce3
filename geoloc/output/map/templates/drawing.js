// Areas drawn on the map with mouse, pen or finger: a box, a circle, or a polygon corner by corner.
const EARTH_RADIUS_KM = 6371.0088, RAD = Math.PI / 180, CLOSE_PX = 14;

const polygon = ring => ({type: "Feature", properties: {}, geometry: {type: "Polygon", coordinates: [[...ring, ring[0]]]}});
const boxRing = (a, b) => [[a.lng, a.lat], [b.lng, a.lat], [b.lng, b.lat], [a.lng, b.lat]];

export function distanceKm(a, b) {
  const half = Math.sin((b.lat - a.lat) * RAD / 2) ** 2
    + Math.cos(a.lat * RAD) * Math.cos(b.lat * RAD) * Math.sin((b.lng - a.lng) * RAD / 2) ** 2;
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.sqrt(Math.min(1, half)));
}

function circleRing(centre, km) {
  const angle = km / EARTH_RADIUS_KM, lat = centre.lat * RAD;
  return Array.from({length: 72}, (_, i) => {
    const bearing = i * 5 * RAD;
    const north = Math.asin(Math.sin(lat) * Math.cos(angle) + Math.cos(lat) * Math.sin(angle) * Math.cos(bearing));
    const east = Math.atan2(Math.sin(bearing) * Math.sin(angle) * Math.cos(lat), Math.cos(angle) - Math.sin(lat) * Math.sin(north));
    return [centre.lng + east / RAD, north / RAD];
  });
}

// Draw a "box", "circle" or "polygon" on a map from `planetMap`; `done` gets the shape, or null if the
// visitor gave up with Escape. Returns a function that ends the drawing.
export function draw(planet, kind, done) {
  const {at, surface: canvas} = planet, corners = [], release = planet.hold();
  let start = null;
  canvas.classList.add("drawing");

  function end(shape) {
    for (const [type, listener] of Object.entries(listeners)) canvas.removeEventListener(type, listener);
    document.removeEventListener("keydown", key);
    canvas.classList.remove("drawing");
    release();
    planet.drawing(null);
    done(shape);
  }
  function preview(to) {
    if (kind === "polygon") {
      const ring = [...corners, to].map(corner => [corner.lng, corner.lat]);
      planet.drawing(ring.length > 2 ? polygon(ring) : {type: "Feature", properties: {}, geometry: {type: "LineString", coordinates: ring}});
    } else planet.drawing(polygon(kind === "box" ? boxRing(start, to) : circleRing(start, distanceKm(start, to))));
  }
  function shape(to) {
    if (kind === "circle") return {kind, lat: start.lat, lon: start.lng, radius_km: distanceKm(start, to)};
    return {kind, south: Math.min(start.lat, to.lat), north: Math.max(start.lat, to.lat),
            west: Math.min(start.lng, to.lng), east: Math.max(start.lng, to.lng)};
  }
  function corner(event) {
    const here = at(event), first = corners[0] && planet.pixel(corners[0]), point = planet.pixel(here);
    const closes = corners.length > 2 && Math.hypot(first.x - point.x, first.y - point.y) < CLOSE_PX;
    if (closes) return end({kind, ring: corners.map(each => [each.lng, each.lat])});
    corners.push(here);
    preview(here);
  }
  const listeners = {
    pointerdown(event) {
      event.preventDefault();
      if (kind === "polygon") return;
      canvas.setPointerCapture(event.pointerId);
      start = at(event);
    },
    pointermove(event) { if (kind === "polygon" ? corners.length : start) preview(at(event)); },
    pointerup(event) {
      if (kind === "polygon") return corner(event);
      if (start && distanceKm(start, at(event)) > 0) end(shape(at(event)));
      start = null;
    },
    dblclick() { if (kind === "polygon" && corners.length > 3) end({kind, ring: corners.slice(0, -1).map(each => [each.lng, each.lat])}); }};
  const key = event => { if (event.key === "Escape") end(null); };
  for (const [type, listener] of Object.entries(listeners)) canvas.addEventListener(type, listener);
  document.addEventListener("keydown", key);
  return () => end(null);
}
