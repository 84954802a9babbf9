// Pictures of a model of two numbers without asking for each: a square of tiles, blended between.
//
// The tiles lie closer in the middle, where latents are: at REACH sinh(BEND t) / sinh(BEND) for
// evenly spaced t from -1 to 1. Sixteen of them blended by Catmull and Rom's cubic ("A class of
// local interpolating splines", 1974) come as near to the true picture as rounding its grey levels
// would bring it, 52 dB, where four blended evenly stay at 31 (`tests/e2e/test_parts.py`).

const SIDE = 65; // tiles on a side
const REACH = 3; // numbers from -REACH to REACH
const BEND = 2.5;
const ROWS = 4; // of tiles in one question

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
    const number = (k) => (REACH * Math.sinh(BEND * ((2 * k) / (SIDE - 1) - 1))) / Math.sinh(BEND);
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
    if (!(Math.abs(x) <= REACH && Math.abs(y) <= REACH)) return null;
    const [across, up] = [blend(x), blend(y)];
    const sum = new Float32Array(this.size);
    let typical = 0;
    for (const [j, v] of up) {
      for (const [i, u] of across) {
        const [tile, w] = [i + j * SIDE, u * v];
        const start = tile * this.size;
        for (let k = 0; k < this.size; k++) sum[k] += w * this.pixels[start + k];
        typical += w * this.typicality[tile];
      }
    }
    const pixels = Uint8ClampedArray.from(sum); // it rounds
    return { header: { ...this.spec, typicality: [Math.min(1, Math.max(0, typical))] }, pixels };
  }
}

/** Which four tiles a number lies between, and how much of each: [[index, weight], ...]. */
function blend(x) {
  const t = Math.asinh((x / REACH) * Math.sinh(BEND)) / BEND;
  const place = ((t + 1) / 2) * (SIDE - 1);
  const first = Math.min(SIDE - 2, Math.floor(place));
  const s = place - first;
  const weights = [
    s * (-0.5 + s * (1 - 0.5 * s)),
    1 + s * s * (-2.5 + 1.5 * s),
    s * (0.5 + s * (2 - 1.5 * s)),
    s * s * (-0.5 + 0.5 * s),
  ];
  return weights.map((w, k) => [Math.min(SIDE - 1, Math.max(0, first - 1 + k)), w]);
}
