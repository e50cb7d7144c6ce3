// The review: list and card of groups, timeline, keys, and saving decisions.
const PAGE_ROWS = 100, PLAY_MS = 250, DATE_PX = 120;
const count = new Intl.NumberFormat("en").format, plural = n => `${count(n)} photo${n === 1 ? "" : "s"}`;
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
let listed = [], listedRows = 0, exported = true;

const distance = km => km === null ? "" : km < 1 ? `${Math.round(1000 * km)} m` : km < 10 ? `${km.toFixed(1)} km` : `${count(Math.round(km))} km`;

function clockTime(text) {                                // as at the place: the offset is part of the text
  if (!text) return "no time";
  const [, year, month, day, time] = text.match(/^(\d+)-(\d+)-(\d+)T(\d+:\d+)/);
  return `${+day} ${MONTHS[month - 1]} ${year}, ${time}`;
}

function span(group) {
  const timed = group.photos.filter(photo => photo.time);
  if (!timed.length) return "no time";
  const first = clockTime(timed[0].time), last = clockTime(timed.at(-1).time);
  if (first === last) return first;
  return first.split(",")[0] === last.split(",")[0] ? `${first} – ${last.split(", ")[1]}` : `${first} – ${last}`;
}

const stateOf = group => group.measured ? "measured" : !group.accepted ? (group.by === "moved" ? "moved" : "") : group.by === "hand" ? "placed ✓" : "accepted ✓";

// ---- the list

function list() {
  listed = $("only-open").checked ? groups.filter(group => !anchored(group) && group.kind !== "not a place") : groups;
  const focused = $("list").contains(document.activeElement) && document.activeElement.group;
  $("list").replaceChildren();
  const rows = Math.max(PAGE_ROWS, listedRows);
  listedRows = 0;
  listMore(rows);
  if (focused) rowOf(focused)?.focus();
}

function listMore(rows = PAGE_ROWS) {
  for (const group of listed.slice(listedRows, listedRows + rows)) listRow(group);
  listedRows = Math.min(listed.length, listedRows + rows);
  $("more").hidden = listedRows >= listed.length;
}

function listRow(group) {
  const button = make(make($("list"), "li", {}), "button", {type: "button", "aria-current": String(group === chosen)});
  button.group = group;
  const picture = group.photos.find(photo => photo.picture);
  if (picture) make(button, "img", {src: picture.picture, alt: ""});
  else make(button, "b", {});
  const text = make(button, "span", {}), title = make(text, "span", {});
  make(title, "i", {style: `background:${COLOURS[group.kind]}`});
  title.append(group.photos[0].place || group.photos[0].name);
  make(text, "small", {}, span(group));
  make(text, "small", {}, `${plural(group.photos.length)}, ${group.kind}${group.radius_80_km === null ? "" : ", within " + distance(group.radius_80_km)}`);
  make(button, "small", {class: "state"}, stateOf(group));
  button.onclick = () => choose(group);
}

const rowOf = group => [...$("list").querySelectorAll("button")].find(button => button.group === group);

// ---- the chosen group

function choose(group, move = true) {
  chosen = group;
  for (const button of $("list").querySelectorAll("button")) button.setAttribute("aria-current", String(button.group === group));
  fillCard();
  if (group && move && group.lat !== null) {
    const {box} = circle({...group, radius_80_km: Math.max(.5, group.radius_80_km || 0)});
    setView(windowAround(...box));
    onMove();
  } else draw();
}

function fillCard() {
  const card = $("card"), group = chosen;
  card.hidden = !group;
  card.replaceChildren();
  if (!group) return;
  make(card, "h2", {}, group.photos[0].place || group.photos[0].name);
  make(card, "p", {}, `${plural(group.photos.length)}: ${span(group)}`);
  const hows = [...new Set(group.photos.map(photo => photo.how))];
  make(card, "p", {}, `${group.kind}: ${group.by === "estimate" ? hows.slice(0, 2).join("; ") : HOW[group.by]}`);
  if (group.lat !== null && !group.measured) make(card, "p", {}, `8 of 10 such photos lie within ${distance(group.radius_80_km)}.`);
  const pictures = make(card, "div", {class: "pictures"});
  for (const photo of group.photos) if (photo.picture) make(pictures, "img", {src: photo.picture, alt: photo.name, title: photo.name});
  if (group.measured) return;
  const tools = make(card, "div", {class: "tools"});
  const button = (label, key, action, disabled) => {
    const node = make(tools, "button", {type: "button", title: `Key ${key}`, ...disabled ? {disabled: ""} : {}}, label);
    node.onclick = action;
  };
  button("Accept", "A", acceptChosen, group.accepted || group.lat === null);
  button("Place in the middle of the map", "P", placeChosen);
  button("Reset", "R", resetChosen, group.by === "estimate" && !group.accepted);
  coordinates(card, group);
}

function coordinates(card, group) {
  const form = make(card, "form", {}), where = group.lat === null ? "" : `${group.lat.toFixed(5)}, ${group.lon.toFixed(5)}`;
  const field = make(form, "input", {id: "at", "aria-label": "Latitude, longitude", value: where, autocomplete: "off"});
  make(form, "button", {type: "submit"}, "Place here");
  form.onsubmit = event => {
    event.preventDefault();
    const [lat, lon, ...more] = field.value.split(/[,;\s]+/).filter(Boolean).map(Number);
    if (more.length || !(Math.abs(lat) <= 90 && Math.abs(lon) <= 180)) say("Give latitude and longitude in degrees, such as 48.8583, 2.2945.");
    else { placeAt(group, ...project(lat, lon)); choose(group); }
  };
}

function acceptChosen() { if (chosen && accept([chosen]).length) changed(); nextOpen(); }
function resetChosen() { if (chosen && !chosen.measured) { reset(chosen); changed(); } }
function placeChosen() { if (chosen && !chosen.measured) placeAt(chosen, view[0] + view[2] / 2, view[1] + view[3] / 2); }

function nextOpen() {                                     // the next group that is to be decided, after the chosen one
  const open = groups.filter(group => !anchored(group) && group.lat !== null);
  if (open.length) { choose(open.find(group => group.number > (chosen?.number ?? -1)) || open[0]); rowOf(chosen)?.scrollIntoView({block: "nearest"}); }
}

onPlaced = (group, moved) => {
  say(moved.length ? `${moved.length} neighbour${moved.length === 1 ? "" : "s"} moved along; accept or undo.` : "");
  if (chosen !== group) choose(group, false);
  changed();
};

// ---- after each change

const say = text => { $("message").textContent = text; };

function changed() {
  exported = false;
  list();
  fillCard();
  drawLines();
  draw();
  report();
}

function report() {
  const all = decidable(), accepted = groups.filter(group => group.accepted && !group.measured);
  const shown = accepted.reduce((sum, group) => sum + group.photos.length, 0);
  $("progress").textContent = `${count(all.filter(group => group.accepted).length)} of ${count(all.length)} groups decided, ${plural(shown)}`;
  $("undo").disabled = !steps.length;
  $("export").disabled = !accepted.length;
}

function undoStep() {
  if (!steps.length) return;
  undo();
  say("Undone.");
  changed();
}

function save() {
  const text = JSON.stringify(decisions(), null, 1) + "\n", link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], {type: "application/json"}));
  link.download = "decisions.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  exported = true;
  say("Saved decisions.json. Next:  geoloc trip apply decisions.json --xmp digikam");
}

async function openSaved(file) {
  try {
    const found = restore(JSON.parse(await file.text()));
    changed();
    say(`${found} groups decided as in ${file.name}.`);
  } catch (error) { say(`${file.name}: no decisions could be read (${error.message}).`); }
}

// ---- timeline: one column per photo, in order

function drawTimeline() {
  const bars = $("bars"), paths = Object.fromEntries(data.kinds.map(kind => [kind, ""]));
  bars.setAttribute("viewBox", `0 0 ${photos.length} 1`);
  for (let row = 0, end; row < photos.length; row = end) {
    for (end = row + 1; end < photos.length && photos[end].kind === photos[row].kind; end++);
    paths[data.kinds[photos[row].kind]] += `M${row},0H${end}V1H${row}Z`;
  }
  for (const [kind, d] of Object.entries(paths)) make(bars, "path", {d, style: `fill:${COLOURS[kind]}`});
  bars.onclick = event => {
    const box = bars.getBoundingClientRect();
    show(Math.min(photos.length - 1, Math.floor((event.clientX - box.left) / box.width * photos.length)), true);
  };
  drawDates();
}

function drawDates() {                                    // at the first photo of days, where there is room
  $("dates").replaceChildren();
  const width = $("dates").clientWidth / photos.length;
  let free = 0, day = "";
  photos.forEach((photo, row) => {
    const today = photo.time ? photo.time.slice(0, 10) : "";
    if (today && today !== day && row * width >= free && (row + .5) * width < $("dates").clientWidth - DATE_PX / 2) {
      make($("dates"), "span", {style: `left:${row * width}px`}, clockTime(photo.time).split(",")[0]);
      free = row * width + DATE_PX;
    }
    day = today;
  });
}

function show(row, alsoChoose = false) {                  // a moment of the journey
  const photo = photos[row], at = positionOf(photo);
  $("moment").value = row;
  $("moment").setAttribute("aria-valuetext", `${clockTime(photo.time)}, ${photo.place || photo.name}`);
  $("when").textContent = clockTime(photo.time);
  $("now").replaceChildren();
  if (at) {
    const [x, y] = project(...at), [left, top, right, bottom] = extent(view), near = nearestCopy(x, view[0] + view[2] / 2);
    make(make($("now"), "g", {"data-at": `${near} ${y}`}), "circle", {r: 20});
    if (near < left || near > right || y < top || y > bottom) setView([near - view[2] / 2, y - view[3] / 2, view[2], view[3]]);
  }
  if (alsoChoose) choose(groups[photo.group], false);
  else draw();
}

let playing = 0;

function play() {
  if (playing) { clearInterval(playing); playing = 0; }
  else {
    if (+$("moment").value >= photos.length - 1) show(0);
    playing = setInterval(() => {
      show(+$("moment").value + 1);
      if (+$("moment").value >= photos.length - 1) play();
    }, PLAY_MS);
  }
  $("play").textContent = playing ? "Pause" : "Play";
}

// ---- the page

const KEYS = {a: acceptChosen, r: resetChosen, p: placeChosen, u: undoStep, n: nextOpen};
document.addEventListener("keydown", event => {
  const typing = event.target.matches("input:not([type=range], [type=checkbox])");
  if ((event.ctrlKey || event.metaKey) && event.key === "z" && !typing) { undoStep(); event.preventDefault(); return; }
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && chosen) choose(null);
  else if (KEYS[event.key.toLowerCase()]) { KEYS[event.key.toLowerCase()](); event.preventDefault(); }
});
$("list").onkeydown = event => {
  const item = document.activeElement.closest("li"), target = {ArrowDown: item?.nextSibling, ArrowUp: item?.previousSibling}[event.key];
  if (target) { target.firstChild.focus(); event.preventDefault(); }
};
$("accept-near").onsubmit = event => {
  event.preventDefault();
  const fresh = acceptWithin(+$("near-km").value);
  if (fresh.length) changed();
  say(`${fresh.length} group${fresh.length === 1 ? "" : "s"} accepted, ${plural(fresh.reduce((sum, group) => sum + group.photos.length, 0))}.`);
};
$("undo").onclick = undoStep;
$("export").onclick = save;
$("open").onchange = () => { const [file] = $("open").files; if (file) openSaved(file); $("open").value = ""; };
$("more").onclick = () => { const next = listedRows; listMore(); $("list").children[next]?.firstChild.focus(); };
$("only-open").onchange = list;
$("play").onclick = play;
$("moment").max = Math.max(0, photos.length - 1);
$("moment").oninput = () => show(+$("moment").value);
addEventListener("resize", drawDates);
addEventListener("beforeunload", event => { if (!exported) event.preventDefault(); });
onDraw = drawGroups;

for (const [left, top, right, bottom, borders] of data.tiles) {
  make($("details"), "path", {class: "tile", d: `M${left},${top}H${right}V${bottom}H${left}Z`});
  make($("details"), "path", {class: "land", d: borders});
}
$("title").textContent = `${plural(photos.length)} in ${count(groups.length)} group${groups.length === 1 ? "" : "s"}`;
for (const kind of data.kinds) {
  const key = make($("legend"), "span", {class: "key"});
  make(key, "i", {style: `background:${COLOURS[kind]}`});
  key.append(`${kind} (${count(photos.filter(photo => data.kinds[photo.kind] === kind).length)})`);
}
make($("legend"), "span", {}, "Drag a pin to correct a group. Keys: A accept, P place, R reset, U undo, N next. The dashed circle contains 8 of 10 such photos. Made with Natural Earth; places by GeoNames (CC BY 4.0).");
for (const note of data.notes) make($("notes").querySelector("ul"), "li", {}, note);
$("notes").hidden = !data.notes.length;
const known = groups.filter(group => group.lat !== null);
if (known.length) home = windowOf(known);
view = home.slice();
list();
drawLines();
drawTimeline();
report();
if (photos.length) show(0);
draw();
