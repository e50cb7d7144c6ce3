// A link that holds the answer, and corrections of the visitor. Both stay in the browser: the answer is in the
// part of the address that no browser sends, and corrections are in a file that the visitor saves.
const state = element.querySelector(".state"), button = name => element.querySelector(`[data-keep=${name}]`);
const CORRECTIONS = "planet-geoloc-corrections";
const planet = () => document.querySelector("#world .planet")?.planet;
const corrections = () => JSON.parse(localStorage.getItem(CORRECTIONS) || "[]");

async function fragment(answer) {
  const {map: {regions, ...map}, photo, ...rest} = answer;           // the name of the photo is not part of the link
  const text = JSON.stringify({...rest, map: {...map, regions: rounded(regions)}});
  const packed = new Response(new Blob([text]).stream().pipeThrough(new CompressionStream("deflate-raw")));
  const bytes = new Uint8Array(await packed.arrayBuffer());
  return "#answer=" + btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function rounded(value) {
  if (typeof value === "number") return Math.round(value * 1000) / 1000;
  if (Array.isArray(value)) return value.map(rounded);
  return value && typeof value === "object" ? Object.fromEntries(Object.entries(value).map(([key, each]) => [key, rounded(each)])) : value;
}

async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = document.createElement("textarea");    // browsers offer no clipboard API over plain HTTP
  field.value = text;
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}

function showCorrections() {
  const known = corrections().length;
  button("save").hidden = !known;
  button("save").textContent = `Save ${known} correction${known === 1 ? "" : "s"}`;
}

async function kept() {                       // tells history.js, which lists the answers of this visit
  state.textContent = "";
  if (!props.value) return;
  const address = await fragment(props.value);
  document.dispatchEvent(new CustomEvent("answered", {detail: {photo: props.value.photo, title: props.value.title, fragment: address}}));
}
watch("value", kept);
kept();
showCorrections();

button("link").addEventListener("click", async () => {
  const address = new URL(location.href);
  address.hash = await fragment(props.value);
  await copy(address.href);
  button("link").focus();
  state.textContent = "Link copied. It holds the answer, and not the photo.";
});

let placing = null;
function stopPlacing() {
  placing?.off();
  placing = null;
  button("here").setAttribute("aria-pressed", "false");
}
button("here").addEventListener("click", () => {
  const map = planet();
  if (placing) { stopPlacing(); state.textContent = ""; return; }
  if (!map) { state.textContent = "This needs the map."; return; }
  map.onPlace = ({lat, lon}) => {
    stopPlacing();
    const here = {file: props.value.photo, lat: lat.toFixed(5), lon: lon.toFixed(5)};
    localStorage.setItem(CORRECTIONS, JSON.stringify([...corrections().filter(each => each.file !== here.file), here]));
    showCorrections();
    state.textContent = `Noted in this browser: ${here.file} was taken at ${here.lat}, ${here.lon}.`;
  };
  placing = {off: () => { map.onPlace = null; }};
  button("here").setAttribute("aria-pressed", "true");
  state.textContent = "Click the place on the map where the photo was taken.";
});

const cell = text => /^[=+\-@\t\r]/.test(text) ? `"'${text.replaceAll('"', '""')}"` : `"${text.replaceAll('"', '""')}"`;
button("save").addEventListener("click", () => {
  const rows = corrections().map(each => `${cell(each.file)},${each.lat},${each.lon}`);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([["file,lat,lon", ...rows, ""].join("\n")], {type: "text/csv"}));
  link.download = "corrections.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  localStorage.removeItem(CORRECTIONS);
  showCorrections();
  state.textContent = "Saved corrections.csv, a table that geoloc evaluate and geoloc-train learn read.";
});
