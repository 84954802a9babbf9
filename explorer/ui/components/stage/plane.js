// The endless plane: wherever one drags there is a latent, and every place has an address.

function hash(i, j, seed) {
  let h = Math.imul(i, 0x27d4eb2d) ^ Math.imul(j, 0x165667b1) ^ seed;
  h = Math.imul(h ^ (h >>> 15), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) & 255;
}

const smoothstep = (t) => t * t * (3 - 2 * t);

/** Every place (x, y) has a latent: that of the four lattice corners around it, blended. */
export class Plane {
  /** corners: Float32Array (256, D); which of them lies where is the seed's. */
  constructor(corners, seed) {
    Object.assign(this, { corners, seed, size: corners.length / 256 });
    this.mean = new Float64Array(this.size);
    corners.forEach((value, k) => {
      this.mean[k % this.size] += value / 256;
    });
    this.knot = null;
  }

  /** Leads the plane through latent `z` at `place`; a cell away it is as it was. */
  tie(place, z) {
    this.knot = null;
    const base = this.at(place);
    this.knot = { place: [...place], offset: base.map((value, d) => z[d] - value) };
  }

  at([x, y]) {
    const [i, j] = [Math.floor(x), Math.floor(y)];
    const [u, v] = [smoothstep(x - i), smoothstep(y - j)];
    const weights = [(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v];
    // a mean of four would be a face like everybody's: weights of unit length keep the spread
    const length = Math.hypot(...weights);
    const z = Array.from(this.mean);
    weights.forEach((weight, k) => {
      const corner = hash(i + (k & 1), j + (k >> 1), this.seed) * this.size;
      for (let d = 0; d < this.size; d++) z[d] += (weight / length) * (this.corners[corner + d] - this.mean[d]);
    });
    if (!this.knot) return z;
    const far = Math.hypot(x - this.knot.place[0], y - this.knot.place[1]);
    const near = smoothstep(Math.max(0, 1 - far));
    return z.map((value, d) => value + near * this.knot.offset[d]);
  }
}
