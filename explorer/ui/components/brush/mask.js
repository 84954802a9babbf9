// A mask at the picture's own resolution, and the strokes that change it.

export class Mask {
  constructor(height, width) {
    Object.assign(this, { height, width, flags: new Uint8Array(height * width), past: [] });
  }

  get count() {
    return this.flags.reduce((sum, flag) => sum + flag, 0);
  }

  /** Remembers the present state, so that `undo` comes back to it. */
  remember() {
    this.past.push(this.flags.slice());
    if (this.past.length > 100) this.past.shift();
  }

  undo() {
    this.flags = this.past.pop() ?? this.flags;
  }

  clear() {
    this.remember();
    this.flags.fill(0);
  }

  /** Paints a disc of `size` pixels along the line from `a` to `b`. */
  stroke(a, b, size, flag) {
    const steps = Math.max(1, Math.ceil(2 * Math.hypot(b[0] - a[0], b[1] - a[1])));
    for (let k = 0; k <= steps; k++) {
      this.disc(a[0] + ((b[0] - a[0]) * k) / steps, a[1] + ((b[1] - a[1]) * k) / steps, size / 2, flag);
    }
  }

  disc(x, y, radius, flag) {
    const reach = Math.max(0.5, radius * radius); // one pixel at least
    for (let row = Math.max(0, Math.floor(y - radius)); row <= Math.min(this.height - 1, y + radius); row++) {
      for (let column = Math.max(0, Math.floor(x - radius)); column <= Math.min(this.width - 1, x + radius); column++) {
        const far = (column + 0.5 - x) ** 2 + (row + 0.5 - y) ** 2;
        if (far <= reach) this.flags[row * this.width + column] = flag;
      }
    }
  }

  rectangle(a, b, flag) {
    const [left, right] = [Math.min(a[0], b[0]), Math.max(a[0], b[0])];
    const [top, bottom] = [Math.min(a[1], b[1]), Math.max(a[1], b[1])];
    for (let row = 0; row < this.height; row++) {
      for (let column = 0; column < this.width; column++) {
        const inside = column + 0.5 >= left && column + 0.5 <= right && row + 0.5 >= top && row + 0.5 <= bottom;
        if (inside) this.flags[row * this.width + column] = flag;
      }
    }
  }
}
