// Buttons of the map: zoom to the answer, show the whole world, draw a box.
const plot = () => document.querySelector("#world .js-plotly-plot");
const WORLD = [-58, -179, 78, 179], TILE = 512;
const northing = lat => Math.asinh(Math.tan(lat * Math.PI / 180)) / (2 * Math.PI);

let fitted = null;                            // window set by `fit`; null once the visitor moved the map
for (const type of ["pointerdown", "wheel"])
  document.querySelector("#world").addEventListener(type, () => { fitted = null; }, {passive: true});

function fit(window) {                        // south, west, north, east
  fitted = window;
  const [south, west, north, east] = window, box = plot().getBoundingClientRect();
  const across = box.width / ((east - west) / 360), up = box.height / (northing(north) - northing(south));
  const middle = (northing(north) + northing(south)) / 2;
  return Plotly.relayout(plot(), {
    "map.center": {lat: Math.atan(Math.sinh(middle * 2 * Math.PI)) * 180 / Math.PI, lon: (west + east) / 2},
    "map.zoom": Math.log2(Math.min(across, up) / TILE)});
}

function drawn() {                            // resolves when the plot shows the current answer
  const current = JSON.stringify(props.value);
  return new Promise(resolve => {
    const timer = setInterval(() => {
      if (JSON.stringify(plot()?.layout?.meta) !== current || !plot()._fullLayout?.map?._subplot) return;
      clearInterval(timer);
      resolve();
    }, 50);
    setTimeout(() => clearInterval(timer), 60000);   // without WebGL there is no map
  });
}

// Gradio may render the figure again at any time, which resets the view to the answer.
function keepView() {
  plot().removeAllListeners("plotly_react");
  plot().on("plotly_react", () => { if (fitted) fit(fitted); });
}

function show() {
  fitted = null;
  if (props.value) drawn().then(() => { keepView(); if (!fitted) fit(props.value); });
}
watch("value", show);
show();                                       // the first answer arrives before this script runs

if (!document.createElement("canvas").getContext("webgl")) {
  document.querySelector("#world").hidden = true;
  element.querySelector(".tools").innerHTML = "<p>The map cannot be shown, because WebGL is disabled in this browser.</p>";
}

const button = name => element.querySelector(`[data-tool=${name}]`);
button("answer")?.addEventListener("click", () => fit(props.value));
button("world")?.addEventListener("click", () => fit(WORLD));
button("box")?.addEventListener("click", () => {
  const gd = plot(), draw = button("box").getAttribute("aria-pressed") !== "true";
  Plotly.relayout(gd, {dragmode: draw ? "select" : "pan", selections: []})
    .then(() => button("box").setAttribute("aria-pressed", draw));   // plotly is ready for the drag
  gd.removeAllListeners("plotly_selected");
  gd.on("plotly_selected", event => {
    if (!event?.range?.map) return;
    const [[west, north], [east, south]] = event.range.map;
    button("box").setAttribute("aria-pressed", "false");
    trigger("apply", {south: Math.min(south, north), north: Math.max(south, north),
                      west: Math.min(west, east), east: Math.max(west, east)});
  });
});
