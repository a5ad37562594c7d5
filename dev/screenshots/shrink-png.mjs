// The same picture in a third of the bytes: with a palette. A page has few colours but for the edges of its letters; the 256 that most pixels
// have are kept, the others become the nearest of them. Only for what Chromium writes: 8 bits, RGB, not interlaced.
import { crc32, deflateSync, inflateSync } from 'node:zlib';

const signatureBytes = 8;
const pixelBytes = 3;
const largestPalette = 256;

function* chunksOf(png) {
  for (let at = signatureBytes; at < png.length; ) {
    const bytes = png.readUInt32BE(at);
    yield { type: png.toString('latin1', at + 4, at + 8), data: png.subarray(at + 8, at + 8 + bytes) };
    at += 12 + bytes;
  }
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const length = Buffer.alloc(4);
  const sum = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

function paeth(left, up, corner) {
  const [toLeft, toUp, toCorner] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}

/** PNG's filters by number: what was taken away from a byte. */
const predictors = [() => 0, (left) => left, (_left, up) => up, (left, up) => (left + up) >> 1, paeth];

/** The rows' colours as numbers, 0xRRGGBB. */
function pixelsOf(filtered, width, height) {
  const rowBytes = width * pixelBytes;
  const pixels = new Uint32Array(width * height);
  let above = Buffer.alloc(rowBytes);
  for (let y = 0; y < height; y += 1) {
    const start = y * (rowBytes + 1);
    const predict = predictors[filtered[start]];
    const row = Buffer.from(filtered.subarray(start + 1, start + 1 + rowBytes));
    for (let at = 0; at < rowBytes; at += 1) {
      const isFirst = at < pixelBytes;
      row[at] += predict(isFirst ? 0 : row[at - pixelBytes], above[at], isFirst ? 0 : above[at - pixelBytes]);
    }
    for (let x = 0; x < width; x += 1) pixels[y * width + x] = row.readUIntBE(x * pixelBytes, pixelBytes);
    above = row;
  }
  return pixels;
}

const channelsOf = (color) => [color >> 16, (color >> 8) & 255, color & 255];
const distance = (one, other) => channelsOf(one).reduce((sum, channel, index) => sum + (channel - channelsOf(other)[index]) ** 2, 0);

/** The colours of the palette, and for each colour of the picture its place in it. */
function paletteOf(pixels) {
  const counts = new Map();
  for (const color of pixels) counts.set(color, (counts.get(color) ?? 0) + 1);
  const byCount = [...counts.keys()].sort((one, other) => counts.get(other) - counts.get(one));
  const palette = byCount.slice(0, largestPalette);
  const places = new Map(palette.map((color, place) => [color, place]));
  for (const color of byCount.slice(largestPalette)) {
    const nearest = palette.reduce((best, each) => (distance(each, color) < distance(best, color) ? each : best));
    places.set(color, places.get(nearest));
  }
  return { palette, places };
}

/** @param {Buffer} png @returns {Buffer} */
export function shrinkPng(png) {
  const chunks = [...chunksOf(png)];
  const header = Buffer.from(chunks[0].data);
  const [bits, colorType, , , interlaced] = header.subarray(8);
  if (bits !== 8 || colorType !== 2 || interlaced !== 0) throw new Error(`this PNG is not RGB with 8 bits a channel: bits ${bits}, colour type ${colorType}`);
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const pixels = pixelsOf(inflateSync(Buffer.concat(chunks.filter(({ type }) => type === 'IDAT').map(({ data }) => data))), width, height);
  const { palette, places } = paletteOf(pixels);
  const rows = Buffer.alloc((width + 1) * height);
  pixels.forEach((color, index) => { rows[index + Math.floor(index / width) + 1] = places.get(color); });
  header[9] = 3; // A palette's place for each pixel; rows stay unfiltered.
  return Buffer.concat([png.subarray(0, signatureBytes), chunk('IHDR', header), chunk('PLTE', Buffer.from(palette.flatMap(channelsOf))), chunk('IDAT', deflateSync(rows, { level: 9 })), chunk('IEND', Buffer.alloc(0))]);
}
