// Raw pixels onto canvases: crisp at whole multiples for digits, smooth for faces.

const SMOOTH = 4; // a smooth picture is enlarged so much by the canvas, the rest by the compositor

/** ImageData of picture `index` among pixels (n, height, width, channels). */
export function imageData({ height, width, channels }, pixels, index = 0) {
  const image = new ImageData(width, height);
  const size = height * width * channels;
  const green = channels === 3 ? 1 : 0;
  for (let from = index * size, to = 0; to < image.data.length; from += channels, to += 4) {
    image.data[to] = pixels[from];
    image.data[to + 1] = pixels[from + green];
    image.data[to + 2] = pixels[from + 2 * green];
    image.data[to + 3] = 255;
  }
  return image;
}

/** A canvas of the picture's own size that holds it. */
export function bitmap(spec, pixels, index = 0) {
  const canvas = document.createElement("canvas");
  canvas.width = spec.width;
  canvas.height = spec.height;
  canvas.getContext("2d").putImageData(imageData(spec, pixels, index), 0, 0);
  return canvas;
}

/** Draws a bitmap into a rectangle of `context`, whole and centred. */
export function place(context, source, x, y, width, height, pixelated) {
  const scale = Math.min(width / source.width, height / source.height);
  const [w, h] = [source.width * scale, source.height * scale];
  context.imageSmoothingEnabled = !pixelated;
  context.imageSmoothingQuality = "high";
  context.drawImage(source, x + (width - w) / 2, y + (height - h) / 2, w, h);
}

/** A small copy of what a canvas shows. */
export function thumbnail(canvas, side = 56) {
  const small = document.createElement("canvas");
  small.width = small.height = side * Math.ceil(devicePixelRatio);
  const pixelated = canvas.style.imageRendering === "pixelated";
  place(small.getContext("2d"), canvas, 0, 0, small.width, small.height, pixelated);
  return small;
}

/** A canvas in a square frame that shows one picture after another and never changes its place. */
export class Screen {
  constructor(frame, canvas) {
    Object.assign(this, { frame, canvas });
    this.observer = new ResizeObserver(() => this.fit());
    this.observer.observe(frame);
  }

  /** Tells the shape of the pictures to come: { height, width, pixelated }. */
  expect(spec) {
    const { height, width, pixelated } = this.spec ?? {};
    // a canvas that is given a size forgets its picture
    if (height === spec.height && width === spec.width && pixelated === spec.pixelated) return;
    this.spec = spec;
    const scale = spec.pixelated ? 1 : SMOOTH;
    this.canvas.width = spec.width * scale;
    this.canvas.height = spec.height * scale;
    this.canvas.style.imageRendering = spec.pixelated ? "pixelated" : "auto";
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.fit();
  }

  draw(spec, pixels, index = 0) {
    const image = imageData(spec, pixels, index);
    if (this.spec.pixelated) {
      this.context.putImageData(image, 0, 0);
      return;
    }
    this.small ??= document.createElement("canvas");
    if (this.small.width !== spec.width || this.small.height !== spec.height) {
      this.small.width = spec.width;
      this.small.height = spec.height;
    }
    this.small.getContext("2d").putImageData(image, 0, 0);
    place(this.context, this.small, 0, 0, this.canvas.width, this.canvas.height, false);
  }

  fit() {
    if (!this.spec) return;
    const { width, height, pixelated } = this.spec;
    let scale = this.frame.clientWidth / Math.max(width, height);
    // whole device pixels for each picture pixel, or some rows would be thicker than others
    if (pixelated) scale = Math.max(1, Math.floor(scale * devicePixelRatio)) / devicePixelRatio;
    this.canvas.style.width = `${width * scale}px`;
    this.canvas.style.height = `${height * scale}px`;
  }

  close() {
    this.observer.disconnect();
  }
}
