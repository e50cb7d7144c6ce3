// Many photos: sent to the API in groups that its limits allow; answers in a table and on one map.
const root = element.querySelector(".batch"), input = root.querySelector("input"), state = root.querySelector(".state");
const bar = root.querySelector("progress"), answers = root.querySelector(".answers"), table = root.querySelector("tbody");
const saver = root.querySelector(".saver"), map = root.querySelector(".map"), box = root.querySelector(".planet"), missing = root.querySelector(".map-missing");
const again = root.querySelector("[data-again]"), opener = root.querySelector("[data-map]"), tab = element.closest("[role=tabpanel]") || document;
const limits = Object.fromEntries(["photos", "size", "batches"].map(name => [name, Number(root.dataset[name])]));
const files = new URL(root.dataset.files, document.baseURI).href, api = new URL("v1/batch", document.baseURI).href;
const POLL_MS = 400, MOST_PINS = 1000, MAP_EVERY_MS = 2000, SURE = {city: "of the city", region: "of the region", country: "of the country"};
let run = 0, ids = [], shown = [], planet = null, drawn = 0, latest = [], areas = [], searched = null;

const photosIn = n => `${n.toLocaleString("en")} photo${n === 1 ? "" : "s"}`;
const distance = km => km < 1 ? `${Math.round(km * 1000)} m` : `${km < 10 ? km.toFixed(1) : Math.round(km).toLocaleString("en")} km`;

async function start(chosen) {
  const own = ++run, pictures = [...chosen];
  if (!pictures.length) return;
  latest = pictures;
  again.hidden = true;
  await stop();
  shown = [];
  table.replaceChildren();
  answers.hidden = true;
  saver.textContent = "";
  root.querySelector("[data-cancel]").hidden = false;
  try {
    await send(own, await sources(pictures));
  } catch (error) {
    if (own === run) tell(`${error.message || error}`);
  } finally {
    if (own === run) finish();
  }
}

function finish() {
  bar.hidden = true;
  root.querySelector("[data-cancel]").hidden = true;
  for (const button of root.querySelectorAll("[data-ending]")) button.disabled = !shown.some(answer => answer.guess);
  if (shown.some(answer => answer.guess)) draw(true);
}

async function stop() {                                   // deletes what the server has of the run before
  const old = ids;
  ids = [];
  for (const button of root.querySelectorAll("[data-ending]")) button.disabled = true;
  await Promise.all(old.map(id => fetch(`${api}/${id}`, {method: "DELETE"}).catch(() => {})));
}

const tell = text => { state.textContent = text; };

async function sources(chosen) {                          // {name, size, open()} of each photo, also of those in zip files
  const found = [];
  for (const file of chosen) {
    if (!isZip(file)) found.push({name: file.name, size: file.size, open: async () => file});
    else for (const entry of await zipEntries(file))
      found.push({name: entry.name, size: entry.size, open: () => unpacked(file, entry, limits.size)});
  }
  return found;
}

async function send(own, photos) {
  const groups = grouped(photos);
  if (groups.length > limits.batches) {
    const admitted = groups.slice(0, limits.batches).flat().length;
    throw new Error(`These are too many or too large photos for this server: the first ${photosIn(admitted)} would do. Choose fewer, or use geoloc batch.`);
  }
  for (const group of groups) {
    const form = new FormData(), rows = [];
    for (const photo of group) {
      if (own !== run) return;
      try {
        if (photo.size > limits.size) throw new Error("too large for this server");
        const file = await photo.open();
        form.append("photos", file, photo.name);
        rows.push(file);
      } catch (error) { add({photo: photo.name, error: `${photo.name}: ${error.message || error}`}); }
    }
    if (!rows.length) continue;
    tell(`Sending ${photosIn(rows.length)} …`);
    form.append("bundle", props.value);
    form.append("top", "1");
    for (const area of areas) form.append("within", area.within);
    const {id} = await reply(fetch(api, {method: "POST", body: form}));
    if (own !== run) { fetch(`${api}/${id}`, {method: "DELETE"}); return; }
    ids.push(id);
    await follow(own, id, rows, photos.length);
  }
  const wrong = shown.filter(answer => answer.error).length;
  tell(`${photosIn(shown.length - wrong)} answered${wrong ? `, ${wrong.toLocaleString("en")} could not be read` : ""}.`);
}

function grouped(photos) {
  const groups = [[]];
  let size = 0;
  for (const photo of photos) {
    const counted = Math.min(photo.size, limits.size);
    if (groups.at(-1).length >= limits.photos || (groups.at(-1).length && size + counted > limits.size)) { groups.push([]); size = 0; }
    groups.at(-1).push(photo);
    size += counted;
  }
  return groups;
}

async function reply(request) {
  const response = await request, body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(body.error || `the server answered ${response.status}`);
  return body;
}

async function follow(own, id, rows, total) {             // until all answers of a batch are here
  const before = shown.length;
  bar.hidden = false;
  for (;;) {
    const progress = await reply(fetch(`${api}/${id}`));
    if (own !== run) return;
    for (const answer of progress.answers.slice(shown.length - before)) add(answer, rows[shown.length - before]);
    bar.max = total;
    bar.value = shown.length;
    tell(progress.state === "waiting" ? "Waiting for other photos on this server …" : `${shown.length.toLocaleString("en")} of ${photosIn(total)} answered …`);
    if (progress.state === "failed") throw new Error(progress.error);
    if (progress.state === "finished") return;
    if (Date.now() > drawn + MAP_EVERY_MS) draw(true);
    await new Promise(resolve => setTimeout(resolve, POLL_MS));
  }
}

// ---- the table

function cell(row, text, label, tag = "td") {
  const node = document.createElement(tag);
  node.textContent = text;                                // never innerHTML: names of files
  if (label) node.dataset.label = label;
  row.append(node);
  return node;
}

function add(answer, file) {
  const row = table.insertRow(), {guess} = answer;
  row.tabIndex = -1;
  const name = cell(row, "", "", "th");
  name.scope = "row";
  if (file && guess) name.append(picture(file));
  name.append(answer.photo);
  if (guess) {
    const {town, region, country} = guess.place;
    cell(row, [town, region, country].filter(Boolean).join(", ") || "open sea");
    cell(row, distance(guess.radius_80_km), "8 of 10 are within");
    cell(row, SURE[guess.confidence] || "not sure", "sure");
    cell(row, `${guess.lat.toFixed(4)}, ${guess.lon.toFixed(4)}`, "position");
  } else cell(row, answer.error.replace(`${answer.photo}: `, "")).colSpan = 4;
  shown.push(answer);
  answers.hidden = false;
  root.querySelector("caption").textContent = photosIn(shown.length);
}

function picture(file) {
  const image = new Image(), address = URL.createObjectURL(file);
  image.alt = "";
  image.loading = "lazy";
  image.onload = image.onerror = () => URL.revokeObjectURL(address);
  image.src = address;
  return image;
}

// ---- the map

function around(guesses) {                                // the smallest window; it may cross the antimeridian
  const lat = guesses.map(each => each.lat), lon = guesses.map(each => each.lon).sort((a, b) => a - b);
  let west = lon[0], gap = lon[0] + 360 - lon.at(-1);
  lon.slice(1).forEach((each, i) => { if (each - lon[i] > gap) { gap = each - lon[i]; west = each; } });
  const [south, north] = [Math.min(...lat), Math.max(...lat)], margin = Math.max(.2, (north - south) / 10);
  return [Math.max(-80, south - margin), west - margin, Math.min(84, north + margin), west + 360 - gap + margin];
}

async function draw(fits) {                               // answers, and where was searched; `fits`: all answers in view
  drawn = Date.now();
  const found = shown.map((answer, row) => ({...answer.guess, row, name: answer.photo})).filter(each => each.lat !== undefined);
  map.hidden = false;
  opener.hidden = true;
  const pins = found.slice(0, MOST_PINS).map(({lat, lon, row, name, place, radius_80_km: km}) => ({
    lat, lon, kind: "photo", label: "", photo: row, title: `${name}: ${[place.town, place.country].filter(Boolean).join(", ")}, within ${distance(km)}`}));
  try {
    const {planetMap} = await import(files + "planet_map.js");
    planet ??= planetMap(box, {label: "Map of the photos", onPin: pin => point(pin.photo)});
    (box.planet = await planet).show({pins, searched, window: found.length ? around(found) : undefined}, !fits);
  } catch (error) {
    planet = null;
    missing.textContent = `The map cannot be shown: ${error.message || error}.`;
    missing.hidden = false;
    box.hidden = true;
    for (const tool of map.querySelectorAll("button")) tool.hidden = true;
  }
}

function point(number) {                                  // to the row of a pin
  const row = table.rows[number];
  row.focus();
  row.scrollIntoView({block: "center"});
}

// ---- controls

drawTools(map, files, () => planet);
opener.addEventListener("click", () => draw(true));
tab.addEventListener("areas-chosen", async event => {     // from where.js
  areas = event.detail.filter(area => !area.problem);
  again.hidden = !latest.length;
  const chosen = areas, outline = chosen.length ? await server.outline(chosen) : null;
  if (chosen !== areas) return;                           // chosen anew in the meantime
  searched = outline;
  if (!map.hidden) draw(false);
});
again.addEventListener("click", () => start(latest));
root.querySelector("[data-choose]").addEventListener("click", () => input.click());
input.addEventListener("change", () => { start(input.files); input.value = ""; });
root.querySelector("[data-cancel]").addEventListener("click", () => { run++; stop(); tell("Cancelled."); finish(); for (const button of root.querySelectorAll("[data-ending]")) button.disabled = true; });
for (const button of root.querySelectorAll("[data-ending]"))
  button.addEventListener("click", async () => {
    const name = `answers.${button.dataset.ending}`;
    try {
      const response = await fetch(`${api}/${ids.join(",")}/${name}`);
      if (!response.ok) throw new Error((await response.json()).error);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await response.blob());
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
      saver.textContent = `Saved ${name}`;
    } catch (error) { saver.textContent = `Not saved: ${error.message || error}.`; }
  });
