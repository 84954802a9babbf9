// Which point is nearest, without asking all of them: points sorted into square cells.

export class Grid {
  /** xy: Float32Array of x, y, x, y, ... */
  constructor(xy) {
    this.xy = xy;
    const count = xy.length / 2;
    const [low, high] = bounds(xy);
    this.low = low;
    this.side = Math.max(1, Math.round(Math.sqrt(count / 4)));
    this.scale = [0, 1].map((k) => this.side / (high[k] - low[k] || 1));
    const cells = new Uint32Array(count);
    this.starts = new Uint32Array(this.side ** 2 + 1);
    for (let k = 0; k < count; k++) {
      cells[k] = this.cell(0, xy[2 * k]) + this.side * this.cell(1, xy[2 * k + 1]);
      this.starts[cells[k] + 1]++;
    }
    for (let c = 0; c < this.side ** 2; c++) this.starts[c + 1] += this.starts[c];
    const next = this.starts.slice();
    this.order = new Uint32Array(count);
    for (let k = 0; k < count; k++) this.order[next[cells[k]]++] = k;
  }

  cell(axis, value) {
    return Math.min(this.side - 1, Math.max(0, Math.floor((value - this.low[axis]) * this.scale[axis])));
  }

  /** Index of the point nearest to (x, y) within `reach`, -1 where there is none. */
  nearest(x, y, reach) {
    let [best, least] = [-1, reach * reach];
    for (let row = this.cell(1, y - reach); row <= this.cell(1, y + reach); row++) {
      for (let column = this.cell(0, x - reach); column <= this.cell(0, x + reach); column++) {
        const cell = column + this.side * row;
        for (let k = this.starts[cell]; k < this.starts[cell + 1]; k++) {
          const point = this.order[k];
          const far = (this.xy[2 * point] - x) ** 2 + (this.xy[2 * point + 1] - y) ** 2;
          if (far < least) [best, least] = [point, far];
        }
      }
    }
    return best;
  }
}

/** [[lowest x, lowest y], [highest x, highest y]] */
export function bounds(xy) {
  const [low, high] = [[Infinity, Infinity], [-Infinity, -Infinity]];
  xy.forEach((value, k) => {
    low[k & 1] = Math.min(low[k & 1], value);
    high[k & 1] = Math.max(high[k & 1], value);
  });
  return [low, high];
}

/** A flag for every point, set where it lies inside the polygon [[x, y], ...]. */
export function inside(xy, polygon) {
  const flags = new Uint8Array(xy.length / 2);
  for (let k = 0; k < flags.length; k++) {
    const [x, y] = [xy[2 * k], xy[2 * k + 1]];
    let within = false;
    for (let a = 0, b = polygon.length - 1; a < polygon.length; b = a++) {
      const [[ax, ay], [bx, by]] = [polygon[a], polygon[b]];
      if (ay > y !== by > y && x < ax + ((bx - ax) * (y - ay)) / (by - ay)) within = !within;
    }
    flags[k] = within ? 1 : 0;
  }
  return flags;
}
