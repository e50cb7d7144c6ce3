// Earlier answers of this visit, and the answer that the address holds. Nothing of it is on the server.
const shared = element.querySelector(".shared"), earlier = element.querySelector(".earlier"), list = earlier.querySelector("ol");
const KEY = "planet-geoloc-visit", MOST = 30, MOST_TEXT = 300, MOST_LINES = 8, MOST_PINS = 20, MOST_BYTES = 400000;
const files = new URL(shared.dataset.files, document.baseURI).href;
let planet = null;

async function unpack(hash) {
  const packed = atob(hash.slice("#answer=".length).replaceAll("-", "+").replaceAll("_", "/"));
  const stream = new Blob([Uint8Array.from(packed, letter => letter.charCodeAt(0))]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const reader = stream.getReader(), parts = [];
  for (let size = 0, next; !(next = await reader.read()).done; parts.push(next.value))
    if ((size += next.value.length) > MOST_BYTES) throw new Error("too long");
  return JSON.parse(await new Blob(parts).text());
}

async function showShared() {
  shared.hidden = !location.hash.startsWith("#answer=");
  if (shared.hidden) return;
  const text = value => String(value ?? "").slice(0, MOST_TEXT), lines = shared.querySelector(".lines");
  try {
    const answer = await unpack(location.hash);
    shared.querySelector("h2").textContent = text(answer.title);
    lines.replaceChildren(...(answer.lines || []).slice(0, MOST_LINES).map(line => {
      const node = document.createElement("p");
      node.textContent = text(line);
      return node;
    }));
    document.querySelector(".welcome")?.classList.add("behind");
    const {planetMap} = await import(files + "planet_map.js");
    planet ??= await planetMap(shared.querySelector(".planet"), {label: "Map of the answer of the link"});
    const pins = (answer.map.pins || []).slice(0, MOST_PINS).map(pin => ({
      lat: Number(pin.lat), lon: Number(pin.lon), kind: pin.kind === "answer" ? "answer" : "other", title: text(pin.title), label: text(pin.label).slice(0, 2)}));
    planet.show({window: answer.map.window, regions: answer.map.regions, circle: answer.map.circle, pins});
  } catch {
    shared.querySelector("h2").textContent = "This link holds no answer";
    lines.textContent = "It may have been cut off when it was copied.";
    shared.querySelector(".planet").hidden = true;
  }
}

function visit() {
  try { return JSON.parse(sessionStorage.getItem(KEY) || "[]"); } catch { return []; }
}

function showVisit() {
  const answers = visit();
  earlier.hidden = answers.length < 2;
  list.replaceChildren(...answers.toReversed().map(answer => {
    const item = document.createElement("li"), link = document.createElement("a");
    link.href = answer.fragment;
    link.textContent = `${answer.photo}: ${answer.title}`;
    item.append(link);
    return item;
  }));
}

document.addEventListener("answered", ({detail}) => {
  const before = visit().filter(each => each.photo !== detail.photo || each.title !== detail.title);
  try { sessionStorage.setItem(KEY, JSON.stringify([...before, detail].slice(-MOST))); } catch { /* full: the list stays as it is */ }
  showVisit();
});
addEventListener("hashchange", showShared);
showVisit();
showShared();
