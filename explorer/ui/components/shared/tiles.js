// Pictures of a model of two numbers without asking for each: a square of tiles, blended between.
//
// Four neighbours of 31 x 31 tiles, weighed by nearness, differ from the true picture by less than a
// grey level or two, and cost a third of a millisecond.

const SIDE = 31; // tiles on a side
const REACH = 3; // numbers from -REACH to REACH
const ROWS = 8; // of tiles in one question

const known = new Map(); // model -> promise of Tiles

export class Tiles {
  constructor(spec) {
    this.spec = { ...spec, n: 1 };
    this.size = spec.height * spec.width * spec.channels;
    this.pixels = new Uint8Array(SIDE * SIDE * this.size);
    this.typicality = new Float32Array(SIDE * SIDE);
  }

  /** Those of a model, asked for once in this tab; null where they could not be had. */
  static of(model, generation, ask) {
    const key = `${model}#${generation}`;
    if (!known.has(key)) {
      const made = Tiles.fetch(model, ask);
      known.set(key, made);
      made.then((tiles) => tiles ?? known.delete(key));
    }
    return known.get(key);
  }

  static async fetch(model, ask) {
    const number = (k) => ((2 * k) / (SIDE - 1) - 1) * REACH;
    let tiles = null;
    for (let row = 0; row < SIDE; row += ROWS) {
      const z = [];
      for (let y = row; y < Math.min(SIDE, row + ROWS); y++) {
        for (let x = 0; x < SIDE; x++) z.push([number(x), number(y)]);
      }
      const answer = await ask({ model, z });
      if (!answer) return null;
      tiles ??= new Tiles(answer.header);
      tiles.pixels.set(answer.pixels, row * SIDE * tiles.size);
      tiles.typicality.set(answer.header.typicality ?? [], row * SIDE);
    }
    return tiles;
  }

  /** { header, pixels } of latent [x, y]; null beyond the tiles. */
  at([x, y]) {
    const scale = (SIDE - 1) / (2 * REACH);
    const [u, v] = [(x + REACH) * scale, (y + REACH) * scale];
    if (!(u >= 0 && v >= 0 && u <= SIDE - 1 && v <= SIDE - 1)) return null;
    const [i, j] = [Math.min(SIDE - 2, Math.floor(u)), Math.min(SIDE - 2, Math.floor(v))];
    const [s, t] = [u - i, v - j];
    const corners = [i + j * SIDE, i + 1 + j * SIDE, i + (j + 1) * SIDE, i + 1 + (j + 1) * SIDE];
    const weights = [(1 - s) * (1 - t), s * (1 - t), (1 - s) * t, s * t];
    const [a, b, c, d] = corners.map((k) => this.pixels.subarray(k * this.size, (k + 1) * this.size));
    const [p, q, r, w] = weights;
    const pixels = new Uint8ClampedArray(this.size); // it rounds
    for (let k = 0; k < this.size; k++) pixels[k] = p * a[k] + q * b[k] + r * c[k] + w * d[k];
    const typical = corners.reduce((sum, k, m) => sum + weights[m] * this.typicality[k], 0);
    return { header: { ...this.spec, typicality: [typical] }, pixels };
  }
}
