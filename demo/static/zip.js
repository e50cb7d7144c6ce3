// Photos in a zip file, unpacked in the browser one by one.
const LOCAL = 0x04034b50, CENTRAL = 0x02014b50, END = 0x06054b50, MOST_COMMENT = 65557, STORED = 0, DEFLATED = 8;
const PHOTO = /\.(jpe?g|png|webp|heic|heif|tiff?|avif|bmp|gif)$/i;
const isZip = file => /\.zip$/i.test(file.name);

async function view(blob, from, to) {
  return new DataView(await blob.slice(from, to).arrayBuffer());
}

async function zipEntries(zip) {                          // of photos: {name, method, packed, size, at}
  const start = Math.max(0, zip.size - MOST_COMMENT), tail = await view(zip, start, zip.size);
  let end = tail.byteLength - 22;
  while (end >= 0 && tail.getUint32(end, true) !== END) end--;
  if (end < 0) throw new Error(`${zip.name} is no zip file; choose another one`);
  const size = tail.getUint32(end + 12, true), at = tail.getUint32(end + 16, true);
  if (at === 0xffffffff) throw new Error(`${zip.name} is larger than 4 GB; unpack it, and choose photos`);
  const list = await view(zip, at, at + size), found = [];
  for (let i = 0; i + 46 <= list.byteLength && list.getUint32(i, true) === CENTRAL;) {
    const [length, extra, comment] = [28, 30, 32].map(offset => list.getUint16(i + offset, true));
    const name = new TextDecoder().decode(new Uint8Array(list.buffer, i + 46, length));
    const hidden = name.startsWith("__MACOSX/") || name.split("/").pop().startsWith(".");
    if (PHOTO.test(name) && !hidden)
      found.push({name: name.split("/").pop(), method: list.getUint16(i + 10, true), packed: list.getUint32(i + 20, true),
                  size: list.getUint32(i + 24, true), at: list.getUint32(i + 42, true)});
    i += 46 + length + extra + comment;
  }
  if (!found.length) throw new Error(`${zip.name} has no photos in it; choose another one`);
  return found;
}

async function unpacked(zip, entry, most) {               // a File; never more than `most` bytes, whatever the zip says
  const head = await view(zip, entry.at, entry.at + 30);
  if (head.byteLength < 30 || head.getUint32(0, true) !== LOCAL) throw new Error("damaged in the zip file");
  const from = entry.at + 30 + head.getUint16(26, true) + head.getUint16(28, true), packed = zip.slice(from, from + entry.packed);
  if (entry.method === STORED) return new File([packed], entry.name);
  if (entry.method !== DEFLATED) throw new Error("packed in a way that browsers cannot unpack, or encrypted");
  const reader = packed.stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader(), parts = [];
  for (let size = 0, next; !(next = await reader.read()).done; parts.push(next.value))
    if ((size += next.value.length) > most) { reader.cancel(); throw new Error("too large"); }
  return new File(parts, entry.name);
}
