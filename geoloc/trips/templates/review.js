// The review: list of groups, timeline, keys, and saving decisions.
const PAGE_ROWS = 100, PLAY_MS = 250, DATE_PX = 120;
const count = new Intl.NumberFormat("en").format, many = (n, name) => `${count(n)} ${name}${n === 1 ? "" : "s"}`, plural = n => many(n, "photo");
const photosOf = some => some.reduce((sum, group) => sum + group.photos.length, 0);
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

const stateOf = group => group.measured ? "sure ✓" : !group.accepted ? (group.by === "moved" ? "moved" : "") : group.by === "hand" ? "placed ✓" : "accepted ✓";

// ---- the list

const unsure = group => group.lat === null ? -1 : group.estimate.radius_80_km ?? Infinity;
const inOrder = some => $("order").value === "time" ? some : [...some].sort((a, b) => unsure(b) - unsure(a));

function list() {
  listed = inOrder($("only-open").checked ? groups.filter(group => !anchored(group) && group.kind !== "not a place") : groups);
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
  const left = undecided();
  $("rest").hidden = !left.length;
  $("rest").textContent = left.length === 1 ? "Accept the last group" : `Accept all ${count(left.length)} groups that are left`;
}

function listRow(group) {
  const button = make(make($("list"), "li", {}), "button", {type: "button", "aria-current": String(group === chosen)});
  button.group = group;
  const picture = group.photos.find(photo => photo.picture);
  if (picture) make(button, "img", {src: picture.picture, alt: ""});
  else make(button, "b", {});
  const text = make(button, "span", {}), title = make(text, "span", {});
  make(title, "i", {style: `background:${COLOURS[group.kind]}`});
  title.append(titleOf(group));
  make(text, "small", {}, span(group));
  make(text, "small", {}, `${plural(group.photos.length)}, ${WORDS[group.kind]}${group.radius_80_km === null ? "" : ", within " + distance(group.radius_80_km)}`);
  make(button, "small", {class: "state"}, stateOf(group));
  button.onclick = () => choose(group);
}

const rowOf = group => [...$("list").querySelectorAll("button")].find(button => button.group === group);

onPlaced = (group, moved) => {
  say(moved.length ? `${many(moved.length, "group")} moved along; accept or undo.` : "");
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
  map.draw();
  report();
}

function report() {
  const all = decidable(), accepted = groups.filter(group => group.accepted && !group.measured);
  $("progress").textContent = `${count(all.filter(group => group.accepted).length)} of ${many(all.length, "group")} decided, ${plural(photosOf(accepted))}`;
  const near = within(+$("near-km").value);
  $("near-count").textContent = `${many(near.length, "group")}, ${plural(photosOf(near))}`;
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
  say("Saved decisions.json, where this browser keeps downloads. Next, in a terminal:  geoloc trip apply decisions.json --xmp digikam");
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
  map.layers.now.replaceChildren();
  if (at) {
    const [x, y] = map.project(...at), [left, top, right, bottom] = map.extent(map.view), near = map.nearestCopy(x, map.view[0] + map.view[2] / 2);
    make(make(map.layers.now, "g", {"data-at": `${near} ${y}`}), "circle", {r: 20});
    if (near < left || near > right || y < top || y > bottom) map.setView([near - map.view[2] / 2, y - map.view[3] / 2, map.view[2], map.view[3]]);
  }
  if (alsoChoose) choose(groups[photo.group], false);
  else map.draw();
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

const KEYS = {a: acceptChosen, r: resetChosen, p: placeChosen, u: undoStep, n: nextOpen, t: () => $("at")?.focus()};
document.addEventListener("keydown", event => {
  const typing = event.target.matches("input:not([type=range], [type=checkbox]), select");
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
  const fresh = accept(within(+$("near-km").value));
  if (fresh.length) changed();
  say(`${many(fresh.length, "group")} accepted, ${plural(photosOf(fresh))}.`);
};
$("near-km").oninput = report;
$("rest").onclick = () => {
  const fresh = accept(groups);
  changed();
  say(`${many(fresh.length, "group")} accepted, ${plural(photosOf(fresh))}.`);
  $("export").focus();
};
$("undo").onclick = undoStep;
$("export").onclick = save;
$("open").onchange = () => { const [file] = $("open").files; if (file) openSaved(file); $("open").value = ""; };
$("more").onclick = () => { const next = listedRows; listMore(); $("list").children[next]?.firstChild.focus(); };
$("only-open").onchange = $("order").onchange = list;
$("play").onclick = play;
$("moment").max = Math.max(0, photos.length - 1);
$("moment").oninput = () => show(+$("moment").value);
addEventListener("resize", drawDates);
addEventListener("beforeunload", event => { if (!exported) event.preventDefault(); });
map.onDraw = drawGroups;

$("title").textContent = `${plural(photos.length)} in ${many(groups.length, "group")}`;
for (const kind of data.kinds) {
  const key = make($("legend"), "span", {class: "key"});
  make(key, "i", {style: `background:${COLOURS[kind]}`});
  key.append(`${WORDS[kind]} (${count(photos.filter(photo => data.kinds[photo.kind] === kind).length)})`);
}
make($("legend"), "span", {}, "Drag a pin to correct a group, or type a town. Keys: A accepts, N goes to the next group, T types a town, P puts the group in the middle of the map, R resets it, U undoes. The circle contains 8 of 10 such photos.");
for (const note of data.notes) make($("notes").querySelector("ul"), "li", {}, note);
$("notes").hidden = !data.notes.length;
const known = groups.filter(group => group.lat !== null);
if (known.length) map.home = () => map.setView(map.windowOf(known));
map.home();
list();
drawLines();
drawTimeline();
report();
if (photos.length) show(0);
map.draw();
