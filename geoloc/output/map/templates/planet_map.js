// The map of the page. Its base map comes from this server in vector tiles; what it shows is data:
//   {window: [south, west, north, east], regions: GeoJSON with `level`, circle: [[lon, lat], …],
//    searched: GeoJSON, pins: [{lat, lon, kind, label, title, photo}], lines: [{kind, at: [[lon, lat], …]}]}
// Every part may be missing.
const HERE = new URL(".", import.meta.url).href;
const FONT = ["Noto Sans,Source Sans Pro,system-ui,sans-serif"], BOLD = ["Noto Sans Bold,Source Sans Pro,system-ui,sans-serif"];
const WORLD = [-56, -170, 74, 190];
const COLOURS = ["sea", "land", "border", "edge", "ink", "soft", "halo", "answer", "region", "searched", "other", "truth"];   // of map.css
const OPACITY = ["case", ["<", ["get", "level"], .6], .34, ["<", ["get", "level"], .9], .2, .13];   // of regions that lie in each other

const loaded = new Map();                      // promises of files, by name

function once(name, start) {                   // a failed file may be asked for again
  if (!loaded.has(name)) loaded.set(name, start(HERE + name).catch(error => { loaded.delete(name); throw error; }));
  return loaded.get(name);
}

const json = address => fetch(address).then(reply => reply.json());

function script(address) {
  return new Promise((resolve, reject) => {
    const tag = document.createElement("script");
    tag.src = address;
    tag.onload = resolve;
    tag.onerror = () => reject(new Error("the map could not be loaded"));
    document.head.append(tag);
  });
}

function drawsMaps() {                 // whether this browser has WebGL
  const canvas = document.createElement("canvas");
  return Boolean(canvas.getContext("webgl2") || canvas.getContext("webgl"));
}

const collection = features => ({type: "FeatureCollection", features});
const feature = (geometry, properties = {}) => ({type: "Feature", geometry, properties});
const geojson = data => ({type: "geojson", data});

function baseLayers(colour, own) {
  const name = (layer, minzoom, size, paint, font = FONT) => ({
    id: "names-" + layer, type: "symbol", source: "names", "source-layer": layer, minzoom,
    layout: {"text-field": ["get", "name"], "text-font": font, "text-size": size, "symbol-sort-key": ["get", "rank"],
             "text-max-width": 8, "text-padding": 4, ...(layer === "country" && {"text-letter-spacing": .06})},
    paint: {"text-color": paint, "text-halo-color": colour.halo, "text-halo-width": 1.4}});
  const line = (layer, paint) => ({id: "line-" + layer, type: "line", source: "borders", "source-layer": layer, paint});
  return {
    below: [
      {id: "background", type: "background", paint: {"background-color": colour.sea}},
      {id: "land", type: "fill", source: "borders", "source-layer": "land", paint: {"fill-color": colour.land, "fill-antialias": false}},
      ...(own ? [{id: "own", type: "raster", source: "own"}] : []),
      line("regions", {"line-color": colour.edge, "line-width": .8}),
      line("countries", {"line-color": colour.border, "line-width": ["interpolate", ["linear"], ["zoom"], 1, .5, 6, 1.3]})],
    above: own ? [] : [
      name("town", 3, ["interpolate", ["linear"], ["zoom"], 4, 11, 9, 13.5], colour.ink),
      name("region", 5, 12, colour.soft),
      {...name("country", 0, ["interpolate", ["linear"], ["zoom"], 1, 10.5, 5, 15], colour.ink, BOLD), maxzoom: 7}]};
}

function shownLayers(colour) {
  return [
    {id: "regions", type: "fill", source: "regions", paint: {"fill-color": colour.region, "fill-opacity": OPACITY}},
    {id: "region-lines", type: "line", source: "regions", paint: {"line-color": colour.region, "line-width": 1, "line-opacity": .65}},
    {id: "searched", type: "line", source: "searched", paint: {"line-color": colour.searched, "line-width": 2, "line-dasharray": [3, 2]}},
    {id: "circle", type: "line", source: "circle", paint: {"line-color": colour.answer, "line-width": 2}},
    {id: "lines", type: "line", source: "lines", paint: {"line-color": ["match", ["get", "kind"], "answer", colour.answer, colour.other],
     "line-width": 2, "line-dasharray": [2, 1.5]}},
    {id: "drawn", type: "line", source: "drawn", paint: {"line-color": colour.searched, "line-width": 2}},
    {id: "drawn-area", type: "fill", source: "drawn", paint: {"fill-color": colour.searched, "fill-opacity": .12}}];
}

function style(box, data, settings, drawn) {
  const colour = Object.fromEntries(COLOURS.map(name => [name, window.mapColour(name, box)]));
  const {below, above} = baseLayers(colour, settings.tiles);
  const tiles = (kind, maxzoom) => ({type: "vector", tiles: [`${HERE}${kind}/{z}/{x}/{y}.mvt`], maxzoom});
  return {
    version: 8,
    sources: {
      borders: tiles("borders", settings.bordersMaxZoom), names: tiles("names", settings.namesMaxZoom),
      ...(settings.tiles && {own: {type: "raster", tiles: [settings.tiles.url], tileSize: 256, attribution: settings.tiles.credit}}),
      regions: geojson(data.regions || collection([])),
      searched: geojson(data.searched || collection([])),
      circle: geojson(collection(data.circle ? [feature({type: "LineString", coordinates: data.circle})] : [])),
      lines: geojson(collection((data.lines || []).map(each => feature({type: "LineString", coordinates: each.at}, {kind: each.kind})))),
      drawn: geojson(drawn || collection([]))},
    layers: [...below, ...shownLayers(colour), ...above]};
}

// Return the map in an element, as an object with show(data, keepView), fit(window), world(), and what drawing.js needs.
// Without WebGL it is the light form, with `isLight`. `onPin` is called with a pin that was clicked and has `photo`; a
// page may set `onPlace`, which is called with {lat, lon} of a click, or of the middle of the map by Enter.
export async function planetMap(box, options = {}) {
  await once("pins.js", script);
  if (drawsMaps()) return tiled(box, options);
  const [base] = await Promise.all([once("base.json", json), once("light_map.js", script)]);
  return Object.assign(window.lightMap(box, base, options), {isLight: true});
}

async function tiled(box, {onPin = () => {}, label = "Map", credit = "Natural Earth; GeoNames (CC BY 4.0)"}) {
  const [settings] = await Promise.all([once("settings.json", json), once("maplibre-gl.js", script)]), {maplibregl} = window;
  let data = {}, drawn = null, markers = [];
  const touch = matchMedia("(pointer: coarse)").matches;
  const map = new maplibregl.Map({
    container: box, style: style(box, data, settings, drawn), bounds: bounds(WORLD), attributionControl: false, dragRotate: false,
    pitchWithRotate: false, touchPitch: false, maxPitch: 0, maxZoom: 14, cooperativeGestures: touch, fadeDuration: 0,
    locale: {"Map.Title": label, "CooperativeGesturesHandler.MobileHelpText": "Use two fingers to move the map"}});
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  map.addControl(new maplibregl.ScaleControl({maxWidth: 110}), "bottom-left");
  map.addControl(new maplibregl.AttributionControl({compact: false, customAttribution: credit}), "bottom-right");
  map.addControl(new maplibregl.NavigationControl({showCompass: false}), "top-right");
  if (!touch && window.mapPageScrolls()) wheelAfterClick(map, box);
  const restyle = () => map.setStyle(style(box, data, settings, drawn), {diff: true});
  new MutationObserver(restyle).observe(document.body, {attributes: true, attributeFilter: ["class"]});

  function pins() {
    for (const marker of markers) marker.remove();
    markers = (data.pins || []).map(pin => {
      const {button, anchor} = window.mapPin(pin, onPin);
      return Object.assign(new maplibregl.Marker({element: button, anchor}).setLngLat([pin.lon, pin.lat]).addTo(map), {anchor});
    });
    apart();
  }
  function apart() {                           // so that the pins of a few places hide no other
    if (!data.apart) return;
    const places = markers.map(marker => map.project(marker.getLngLat()));
    const shifts = window.mapApart(places.map(({x, y}, i) => window.mapMark(markers[i].anchor, x, y)));
    markers.forEach((marker, i) => marker.setOffset(shifts[i]));
  }
  map.on("moveend", apart);
  const planet = {
    map, onPlace: null,
    fit: window => map.fitBounds(bounds(window), {padding: 24, maxZoom: 12, animate: false}),
    world: () => planet.fit(WORLD),
    show(next, keepView = false) {
      data = next || {};
      restyle();
      pins();
      map.resize();
      if (!keepView) planet.fit(data.window || WORLD);
    },
    drawing(shape) { drawn = shape; map.getSource("drawn")?.setData(shape || collection([])); },
    surface: map.getCanvasContainer(),
    at(event) {
      const at = planet.surface.getBoundingClientRect();
      return map.unproject([event.clientX - at.left, event.clientY - at.top]);
    },
    pixel: point => map.project(point),
    hold() {                                   // nothing moves the map until the returned function is called
      const handlers = [map.dragPan, map.doubleClickZoom, map.boxZoom, map.touchZoomRotate, map.cooperativeGestures];
      const wereOn = handlers.filter(handler => handler.isEnabled());
      wereOn.forEach(handler => handler.disable());
      return () => wereOn.forEach(handler => handler.enable());
    }};
  placeByClick(planet);
  await new Promise(resolve => map.once("style.load", resolve));
  return planet;
}

function bounds([south, west, north, east]) {
  return [[west, south], [Math.min(east, west + 359.9), north]];
}

function wheelAfterClick(map, box) {          // so that scrolling the page does not stop at the map
  map.scrollZoom.disable();
  box.addEventListener("pointerdown", () => map.scrollZoom.enable());
  box.addEventListener("pointerleave", () => map.scrollZoom.disable());
}

function placeByClick(planet) {
  const place = at => { const {lat, lng} = at.wrap(); planet.onPlace({lat, lon: lng}); };
  planet.map.on("click", event => { if (planet.onPlace) place(event.lngLat); });
  planet.map.getCanvas().addEventListener("keydown", event => {
    if (!planet.onPlace || event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    place(planet.map.getCenter());
  });
}
