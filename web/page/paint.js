// Pixels on canvases. The worker sends images as bytes, channel by channel; a canvas takes red, green, blue and alpha of each pixel.
// Pictures are shown as they are. Feature maps, which are no pictures, have a scale of blues.

const BLUES = [[8, 12, 24], [12, 52, 110], [24, 118, 190], [120, 190, 240], [245, 252, 255]];
const SCALE = Array.from({ length: 256 }, (_, byte) => {
  const at = (byte / 255) * (BLUES.length - 1), k = Math.min(BLUES.length - 2, Math.floor(at)), part = at - k;
  return BLUES[k].map((low, channel) => Math.round(low + part * (BLUES[k + 1][channel] - low)));
});

/** Writes one picture of `shape` [channels, height, width] into `image` with its top left corner at (left, top). */
function put(image, bytes, start, [channels, height, width], left, top) {
  const plane = height * width;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = start + y * width + x, to = 4 * ((top + y) * image.width + left + x);
      for (let k = 0; k < 3; k++) image.data[to + k] = bytes[from + (channels === 3 ? k * plane : 0)];
      image.data[to + 3] = 255;
    }
  }
}

function sized(canvas, width, height) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  return canvas.getContext("2d");
}

/** Shows one picture on a canvas of as many dots as the picture has pixels. */
export function showPicture(canvas, bytes, shape, place = 0) {
  const [channels, height, width] = shape, context = sized(canvas, width, height), image = context.createImageData(width, height);
  put(image, bytes, place * channels * height * width, shape, 0, 0);
  context.putImageData(image, 0, 0);
}

/** Shows feature maps in a grid of `columns`, with a gap of a dot between them. */
export function showMaps(canvas, bytes, [, height, width], columns, most) {
  const rows = Math.ceil(most / columns), gap = Math.max(1, Math.round(width / 14));
  const context = sized(canvas, columns * (width + gap) - gap, rows * (height + gap) - gap);
  const image = context.createImageData(canvas.width, canvas.height);
  for (let map = 0; map < most; map++) {
    const left = (map % columns) * (width + gap), top = Math.floor(map / columns) * (height + gap);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const [r, g, b] = SCALE[bytes[(map * height + y) * width + x]];
        image.data.set([r, g, b, 255], 4 * ((top + y) * canvas.width + left + x));
      }
    }
  }
  context.putImageData(image, 0, 0);
}

/** Shows pictures above their reconstructions, in rows of `columns` pairs, with a gap between rows. */
export function showPairs(canvas, above, below, shape, number, columns) {
  const [channels, height, width] = shape, size = channels * height * width, gap = Math.max(2, Math.round(width / 10));
  const rows = Math.ceil(number / columns), line = 2 * height + gap;
  const context = sized(canvas, columns * (width + 1) - 1, rows * line - gap);
  const image = context.createImageData(canvas.width, canvas.height);
  for (let k = 0; k < number; k++) {
    const left = (k % columns) * (width + 1), top = Math.floor(k / columns) * line;
    put(image, above, k * size, shape, left, top);
    put(image, below, k * size, shape, left, top + height);
  }
  context.putImageData(image, 0, 0);
}

/** Shows one image whose rows are those of all tiles, see `mosaic` in protocol.md. */
export function showMosaic(canvas, bytes, tiles, [channels, height, width]) {
  showPicture(canvas, bytes, [channels, tiles * height, tiles * width]);
}

/** The pixels of a canvas as `encode` takes them: numbers from 0 to 1 of `channels` planes, all of them the same grey. */
export function greyOf(canvas, [channels, height, width]) {
  const small = sized(document.createElement("canvas"), width, height);
  small.imageSmoothingQuality = "high";
  small.drawImage(canvas, 0, 0, width, height);
  const { data } = small.getImageData(0, 0, width, height), plane = height * width, pixels = new Float32Array(channels * plane);
  for (let i = 0; i < plane; i++) {
    const grey = (0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2]) / 255;
    for (let k = 0; k < channels; k++) pixels[k * plane + i] = grey;
  }
  return pixels;
}
