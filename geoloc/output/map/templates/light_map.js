// The light form of the map: SVG from data that the page holds, without WebGL and without a server. It looks like
// planet_map.js and shows the same data. A view is [left, top, width, height] in map units, which are those of
// geoloc/output/map/outlines.py; degrees are { lat, lon }.
const EARTH_RADIUS_KM = 6371.0088, $ = id => document.getElementById(id);

function make(parent, tag, attributes, text) {
  const svg = "http://www.w3.org/2000/svg", isSvg = tag === "svg" || parent.namespaceURI === svg;
  const node = isSvg ? document.createElementNS(svg, tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;         // never innerHTML: text comes from file names
  parent.append(node);
  return node;
}

// Return the map in an element.
//   base: of `base_map` in geoloc/output/map/base.py
//   label: what the map is, for screen readers; homeTitle: of the button that goes back
//   onPin: called with a pin that was clicked and has `photo`
// A page may replace `home`, which shows the first view, `onDraw`, called with each drawing, `onMove`, called after the
// user has moved the map, and `onPlace`, called with {lat, lon} of a click, or of the middle of the map by Enter.
function lightMap(frame, base, {label = "Map", homeTitle = "Back to the start", onPin = () => {}} = {}) {
  const ZOOM_STEP = .6, SMALLEST_VIEW = .02, SCALE_BAR_PX = 110, DRAG_PX = 4, MOST_NAMES = 90;
  const WORLD = [-56, -170, 74, 190], OPACITY = level => level < .6 ? .34 : level < .9 ? .2 : .13;
  const {size} = base;
  const svg = make(frame, "svg", {tabindex: 0, role: "application", "aria-label": label});
  const pinLayer = make(frame, "div", {class: "map-pins"});
  const map = {svg, layers: {}, view: [0, 0, size, size], onDraw() {}, onMove() {}, onPlace: null};

  // ---- geometry

  map.project = (lat, lon) => {                            // must equal `mercator` of outlines.py
    const phi = Math.max(-85.05, Math.min(85.05, lat)) * Math.PI / 180;
    return [(lon + 180) / 360 * size, (.5 - Math.asinh(Math.tan(phi)) / (2 * Math.PI)) * size];
  };
  map.unproject = (x, y) => {
    const lon = ((x / size % 1 + 1) % 1) * 360 - 180;
    return [Math.atan(Math.sinh((.5 - y / size) * 2 * Math.PI)) * 180 / Math.PI, lon];
  };
  map.nearestCopy = (x, middle) => x - size * Math.round((x - middle) / size);   // the map repeats
  map.middle = () => [map.view[0] + map.view[2] / 2, map.view[1] + map.view[3] / 2];
  map.unitsPerPixel = () => {
    const box = svg.getBoundingClientRect();
    return Math.max(map.view[2] / box.width, map.view[3] / box.height);
  };
  map.kmPerPixel = (y = map.middle()[1]) => 2 * Math.PI * EARTH_RADIUS_KM / size * map.unitsPerPixel() / Math.cosh(Math.PI * (1 - 2 * y / size));
  map.extent = ([left, top, width, height]) => {           // left, top, right, bottom of the screen for a view
    const box = svg.getBoundingClientRect(), half = Math.max(width / box.width, height / box.height) / 2;
    const x = left + width / 2, y = top + height / 2;
    return [x - box.width * half, y - box.height * half, x + box.width * half, y + box.height * half];
  };
  map.windowAround = (left, top, right, bottom, smallest = 1) => {   // a square view around a box, with a margin
    const side = Math.min(size, Math.max(smallest, 1.25 * Math.max(right - left, bottom - top)));
    const y = Math.max(0, Math.min(size - side, (top + bottom - side) / 2));
    return [(left + right - side) / 2, y, side, side];
  };
  map.windowOf = (some, smallest) => {                     // the smallest such view of {x, y}; it may cross the antimeridian
    const xs = some.map(each => each.x).sort((a, b) => a - b), [top, bottom] = map.range(some.map(each => each.y));
    let start = 0, gap = xs[0] + size - xs.at(-1);
    for (let i = 1; i < xs.length; i++) if (xs[i] - xs[i - 1] > gap) [gap, start] = [xs[i] - xs[i - 1], i];
    return map.windowAround(xs[start], top, xs[start] + size - gap, bottom, smallest);
  };
  map.range = values => values.reduce(([least, most], value) => [Math.min(least, value), Math.max(most, value)], [Infinity, -Infinity]);
  map.circle = photo => {                                  // path and box of the 80 % circle of {lat, lon, x, radius_80_km}
    const lat = photo.lat * Math.PI / 180, angle = Math.min(photo.radius_80_km, 20000) / EARTH_RADIUS_KM, xs = [], ys = [];
    for (let degrees = 0; degrees <= 360; degrees += 2) {
      const bearing = degrees * Math.PI / 180;
      const north = Math.asin(Math.sin(lat) * Math.cos(angle) + Math.cos(lat) * Math.sin(angle) * Math.cos(bearing));
      const east = Math.atan2(Math.sin(bearing) * Math.sin(angle) * Math.cos(lat), Math.cos(angle) - Math.sin(lat) * Math.sin(north));
      const [x, y] = map.project(north * 180 / Math.PI, photo.lon + east * 180 / Math.PI);
      xs.push(map.nearestCopy(x, xs.at(-1) ?? photo.x));
      ys.push(y);
    }
    const mean = xs.reduce((sum, x) => sum + x) / xs.length, moved = map.nearestCopy(mean, photo.x) - mean;
    const closed = Math.abs(xs.at(-1) - xs[0]) < size / 2;  // around a pole it is a wave, which is not drawn
    const path = closed ? xs.map((x, i) => `${i ? "L" : "M"}${(x + moved).toFixed(4)},${ys[i].toFixed(4)}`).join("") : "";
    const reach = Math.max(...xs.map(x => Math.abs(x + moved - photo.x)));
    return {path, box: [photo.x - reach, Math.min(...ys), photo.x + reach, Math.max(...ys)]};
  };
  map.line = points => {                                   // path of [lat, lon], on the copies of the world that follow one another
    let before = null, path = "";
    for (const [lat, lon] of points) {
      const [x, y] = map.project(lat, lon), near = before === null ? x : map.nearestCopy(x, before);
      path += `${path ? "L" : "M"}${near.toFixed(4)},${y.toFixed(4)}`;
      before = near;
    }
    return path;
  };

  // ---- what is drawn once: the base map, and layers that repeat with it ("turn") or stand on the screen

  const id = `turn-${document.querySelectorAll(".planet > svg").length}`;
  for (const x of [-size, size]) make(svg, "use", {href: `#${id}`, x});
  const turn = make(svg, "g", {id}), layer = (name, parent) => { map.layers[name] = make(parent, "g", {class: name}); };
  make(turn, "path", {class: "map-land map-world", d: base.world, transform: `scale(${1 / base.steps})`});
  for (const {box: [left, top, right, bottom], land, regions, countries} of base.tiles) {
    const scaled = {transform: `scale(${1 / base.tileSteps})`};
    make(turn, "path", {class: "map-tile-sea", d: `M${left},${top}H${right}V${bottom}H${left}Z`});
    make(turn, "path", {class: "map-land", d: land, ...scaled});
    make(turn, "path", {class: "map-edges", d: regions, ...scaled});
    make(turn, "path", {class: "map-borders", d: countries, ...scaled});
  }
  for (const name of ["regions", "searched", "circles", "lines", "drawn"]) layer(name, turn);
  for (const name of ["names", "marks", "now"]) layer(name, svg);
  map.layers.names.setAttribute("aria-hidden", "true");
  const corner = (place, name) => make(make(frame, "div", {class: `maplibregl-ctrl-${place}`}), "div", {class: `maplibregl-ctrl maplibregl-ctrl-${name}`});
  const scale = corner("bottom-left", "scale");
  corner("bottom-right", "attrib").textContent = "Natural Earth; GeoNames (CC BY 4.0)";
  const buttons = corner("top-right", "group");
  const control = (name, title, act) => {
    const button = make(buttons, "button", {type: "button", class: `map${name === "home" ? "" : "libregl-ctrl"}-${name}`, "aria-label": title, title});
    make(button, "span", {class: "maplibregl-ctrl-icon", "aria-hidden": "true"});
    button.onclick = act;
  };

  // ---- drawing

  map.draw = () => {
    if (!svg.getBoundingClientRect().width) return;        // a frame without a size yet: drawn when it has one
    svg.setAttribute("viewBox", map.view.join(" "));
    map.onDraw();
    const units = map.unitsPerPixel();
    drawNames(units);
    for (const node of svg.querySelectorAll("[data-at]")) node.setAttribute("transform", `translate(${node.dataset.at}) scale(${units})`);
    placePins(units);
    drawScaleBar();
  };

  function drawScaleBar() {
    const perPixel = map.kmPerPixel(), longest = SCALE_BAR_PX * perPixel, power = 10 ** Math.floor(Math.log10(longest));
    const length = power * [5, 3, 2, 1].find(step => step * power <= longest);
    scale.style.width = length / perPixel + "px";
    scale.textContent = length < 1 ? `${Math.round(length * 1000)} m` : `${length} km`;
  }

  const between = (zoom, low, from, high, to) => from + (to - from) * Math.min(1, Math.max(0, (zoom - low) / (high - low)));
  const NAME_PX = {country: zoom => between(zoom, 1, 10.5, 5, 15), region: () => 12, town: zoom => between(zoom, 4, 11, 9, 13.5)};
  const nameNodes = new Map();                             // name -> node, reused by the next drawing

  function drawNames(units) {                              // the most important ones first, none on another
    const zoom = Math.log2(size / 512 / units), [left, top, right, bottom] = map.extent(map.view), [middle] = map.middle();
    const taken = [], drawn = new Set();
    for (const name of base.names) {
      const [text, at, y, kind, from] = name, x = map.nearestCopy(at, middle);
      if (zoom < from || kind === "country" && zoom >= 7 || x < left || x > right || y < top || y > bottom) continue;
      const px = NAME_PX[kind](zoom), lines = wrapped(text), width = Math.max(...lines.map(line => line.length)) * px * .3 + 4;
      const height = lines.length * px * .6 + 4, [cx, cy] = [(x - left) / units, (y - top) / units];
      if (taken.some(other => Math.abs(other[0] - cx) < other[2] + width && Math.abs(other[1] - cy) < other[3] + height)) continue;
      taken.push([cx, cy, width, height]);
      drawn.add(name);
      if (!nameNodes.has(name)) nameNodes.set(name, nameNode(kind, lines));
      const node = nameNodes.get(name);
      node.style.fontSize = `${px}px`;
      node.dataset.at = `${x} ${y}`;
      if (drawn.size >= MOST_NAMES) break;
    }
    for (const [name, node] of nameNodes) if (!drawn.has(name)) { node.remove(); nameNodes.delete(name); }
  }

  function wrapped(text) {                                 // long names take two lines
    const middle = text.length / 2, spaces = [...text.matchAll(/ /g)].map(found => found.index);
    if (text.length < 15 || !spaces.length) return [text];
    const cut = spaces.reduce((best, at) => Math.abs(at - middle) < Math.abs(best - middle) ? at : best);
    return [text.slice(0, cut), text.slice(cut + 1)];
  }

  function nameNode(kind, lines) {
    const node = make(map.layers.names, "text", {class: `map-name ${kind}`});
    lines.forEach((line, i) => make(node, "tspan", {x: 0, y: `${(i - (lines.length - 1) / 2) * 1.15}em`}, line));
    return node;
  }

  // ---- pins and other data

  let placed = [], isApart = false;
  map.pins = pins => {                                     // [{lat, lon, kind, label, title, photo, colour}]
    pinLayer.replaceChildren();
    placed = pins.map(pin => ({...mapPin(pin, onPin), at: map.project(pin.lat, pin.lon)}));
    for (const {button} of placed) pinLayer.append(button);
  };

  function placePins(units) {
    const [left, top, right, bottom] = map.extent(map.view), [middle] = map.middle(), margin = 40 * units;
    const spots = placed.map(({at: [x, y]}) => [(map.nearestCopy(x, middle) - left) / units, (y - top) / units]);
    const shifts = isApart ? mapApart(spots.map(([x, y], i) => mapMark(placed[i].anchor, x, y))) : [];
    placed.forEach(({button, anchor, at: [x, y]}, i) => {
      const near = map.nearestCopy(x, middle), up = {bottom: "-100%", top: "0"}[anchor] || "-50%", [dx, dy] = shifts[i] || [0, 0];
      button.hidden = near < left - margin || near > right + margin || y < top - margin || y > bottom + margin;
      button.style.transform = `translate(${spots[i][0] + dx}px, ${spots[i][1] + dy}px) translate(-50%, ${up})`;
    });
  }

  const ringPath = ring => ring.map(([lon, lat], i) => (i ? "L" : "M") + map.project(lat, lon).map(value => value.toFixed(4)).join()).join("");
  const polygons = shape => ({Polygon: () => [shape.coordinates], MultiPolygon: () => shape.coordinates}[shape.type] || (() => [[shape.coordinates]]))();
  const shapePath = shape => polygons(shape).flat().map(ringPath).join("");

  map.regions = regions => {                               // [{level, path, steps}]: path data in 1/steps, the largest level first
    map.layers.regions.replaceChildren();
    for (const {level, path, steps = 1} of regions)
      make(map.layers.regions, "path", {class: "map-region", d: path, "fill-opacity": OPACITY(level), transform: `scale(${1 / steps})`});
  };

  function fill(name, shapes) {
    map.layers[name].replaceChildren();
    for (const {path, kind = "", colour} of shapes)
      make(map.layers[name], "path", {class: `map-${name.replace(/s$/, "")} ${kind}`, d: path, ...(colour && {style: `stroke:${colour}`})});
  }
  map.drawCircle = photo => fill("circles", photo ? [{path: map.circle(photo).path}] : []);
  map.drawing = shape => fill("drawn", shape ? [{path: shapePath(shape.geometry)}] : []);

  map.show = (data, keepView = false) => {                 // as in planet_map.js
    const shown = data || {}, features = shapes => (shapes?.features || []);
    map.regions(features(shown.regions).map(({geometry, properties}) => ({level: properties.level, path: shapePath(geometry)})));
    fill("searched", features(shown.searched).map(({geometry}) => ({path: shapePath(geometry)})));
    fill("circles", shown.circle ? [{path: ringPath(shown.circle)}] : []);
    fill("lines", (shown.lines || []).map(({at, ...rest}) => ({path: map.line(at.map(([lon, lat]) => [lat, lon])), ...rest})));
    isApart = Boolean(shown.apart);
    map.pins(shown.pins || []);
    map.home = () => map.fit(shown.window || WORLD);
    if (keepView) map.draw();
    else map.home();
  };

  // ---- moving the view; setView and fit are for scripts, the others report the user's move

  map.setView = next => {                                  // repeats east and west, stops at the poles
    const side = Math.min(size, Math.max(SMALLEST_VIEW, next[2])), turns = Math.floor((next[0] + side / 2) / size);
    map.view = [next[0] - size * turns, Math.min(size - side / 2, Math.max(-side / 2, next[1])), side, side];
    map.draw();
  };
  map.fit = ([south, west, north, east]) => {              // in degrees; `east` may be beyond 180
    const [left, top] = map.project(north, west), [right, bottom] = map.project(south, east), box = svg.getBoundingClientRect();
    const units = 1.08 * Math.max((right - left) / Math.max(1, box.width), (bottom - top) / Math.max(1, box.height));
    const side = Math.min(size, units * Math.min(box.width, box.height));
    map.setView([(left + right - side) / 2, (top + bottom - side) / 2, side, side]);
  };
  map.world = () => map.fit(WORLD);
  map.home = map.world;
  map.goHome = () => {
    map.home();
    map.onMove();
  };
  map.goTo = (lat, lon) => {
    const [x, y] = map.project(lat, lon);
    map.setView([map.nearestCopy(x, map.middle()[0]) - map.view[2] / 2, y - map.view[3] / 2, map.view[2], map.view[3]]);
    map.onMove();
  };
  map.zoom = (factor, x = map.middle()[0], y = map.middle()[1]) => {
    const side = Math.min(size, Math.max(SMALLEST_VIEW, map.view[2] * factor)), ratio = side / map.view[2];
    map.setView([x - (x - map.view[0]) * ratio, y - (y - map.view[1]) * ratio, side, side]);
    map.onMove();
  };
  map.move = (dx, dy) => {
    map.setView([map.view[0] + dx, map.view[1] + dy, map.view[2], map.view[3]]);
    map.onMove();
  };

  // ---- controls

  control("zoom-in", "Zoom in", () => map.zoom(ZOOM_STEP));
  control("zoom-out", "Zoom out", () => map.zoom(1 / ZOOM_STEP));
  control("home", homeTitle, () => map.goHome());

  map.onMap = (x, y) => new DOMPoint(x, y).matrixTransform(svg.getScreenCTM().inverse());
  let wheel = false;                                       // where the page scrolls, the wheel zooms only after a click
  frame.addEventListener("pointerdown", () => { wheel = true; });
  frame.addEventListener("pointerleave", () => { wheel = false; });
  frame.addEventListener("wheel", event => {
    if (!wheel && mapPageScrolls()) return;
    event.preventDefault();
    const at = map.onMap(event.clientX, event.clientY);
    map.zoom(Math.exp(event.deltaY * (event.deltaMode ? .05 : .0015)), at.x, at.y);
  }, {passive: false});

  const pointers = new Map();
  let dragged = false, held = false;
  frame.addEventListener("pointerdown", event => {         // of pins, too
    if (event.target.closest(".maplibregl-ctrl")) return;
    if (!pointers.size) dragged = false;
    pointers.set(event.pointerId, event);
  });
  frame.addEventListener("pointermove", event => {
    const before = pointers.get(event.pointerId);
    if (!before || held) return;
    if (!frame.hasPointerCapture(event.pointerId)) {         // captured from the start, clicks would miss the marks
      if (Math.hypot(before.clientX - event.clientX, before.clientY - event.clientY) < DRAG_PX) return;
      frame.setPointerCapture(event.pointerId);
    }
    dragged = true;
    if (pointers.size === 2) pinch(before, event);
    else map.move((before.clientX - event.clientX) * map.unitsPerPixel(), (before.clientY - event.clientY) * map.unitsPerPixel());
    pointers.set(event.pointerId, event);
  });
  for (const end of ["pointerup", "pointercancel"]) frame.addEventListener(end, event => {
    const alone = pointers.size === 1 && pointers.delete(event.pointerId);
    pointers.delete(event.pointerId);
    if (map.onPlace && alone && end === "pointerup" && !dragged && !held) place(map.onMap(event.clientX, event.clientY));
  });

  function place({x, y}) {
    const [lat, lon] = map.unproject(x, y);
    map.onPlace({lat, lon});
  }

  function pinch(before, event) {
    const other = [...pointers.values()].find(pointer => pointer.pointerId !== event.pointerId);
    const span = pointer => Math.hypot(pointer.clientX - other.clientX, pointer.clientY - other.clientY);
    const at = map.onMap((event.clientX + other.clientX) / 2, (event.clientY + other.clientY) / 2);
    map.zoom(span(before) / Math.max(1, span(event)), at.x, at.y);
  }

  svg.addEventListener("keydown", event => {
    const step = map.view[2] / 10, [x, y] = map.middle();
    const moves = {ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step]};
    const keys = {"+": () => map.zoom(ZOOM_STEP), "=": () => map.zoom(ZOOM_STEP), "-": () => map.zoom(1 / ZOOM_STEP), 0: () => map.goHome(),
                  ...(map.onPlace && {Enter: () => place({x, y}), " ": () => place({x, y})})};
    const act = moves[event.key] ? () => map.move(...moves[event.key]) : keys[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    act();
    if (event.key !== "0") event.preventDefault();
  });
  new ResizeObserver(() => map.draw()).observe(svg);

  // ---- what drawing.js needs of a map

  map.surface = svg;
  map.at = event => { const {x, y} = map.onMap(event.clientX, event.clientY), [lat, lng] = map.unproject(x, y); return {lat, lng}; };
  map.pixel = ({lat, lng}) => {
    const [x, y] = map.project(lat, lng), [left, top] = map.extent(map.view), units = map.unitsPerPixel();
    return {x: (map.nearestCopy(x, map.middle()[0]) - left) / units, y: (y - top) / units};
  };
  map.hold = () => { held = true; return () => { held = false; }; };
  return map;
}
