// What a run has recorded, as it grows: over a WebSocket, thinned so that no peak is lost.

const LONGEST_PAUSE = 5000; // ms between two attempts to connect
const MOST = 4000; // points of a series that are kept

/** Places of the least and the greatest value of each part, in order; as explorer/curves.py has it. */
export function extremes(values, buckets) {
  const found = new Set([0, values.length - 1]);
  const count = Math.min(buckets, values.length);
  for (let b = 0; b < count; b++) {
    const low = Math.floor((b * values.length) / count);
    const high = Math.floor(((b + 1) * values.length) / count);
    let [least, greatest] = [low, low];
    for (let k = low; k < high; k++) {
      if (values[k] < values[least]) least = k;
      if (values[k] > values[greatest]) greatest = k;
    }
    found.add(least).add(greatest);
  }
  return [...found].sort((a, b) => a - b);
}

export class Feed {
  /** Follows `run` and calls `changed()` with every message; `columns` are names of its records. */
  constructor(run, columns, ticket, changed) {
    Object.assign(this, { run, columns, ticket, changed, pause: 250, state: "queued", lost: false });
    this.forget();
    this.connect();
  }

  forget() {
    this.series = Object.fromEntries(this.columns.map((name) => [name, [[], []]]));
    this.events = [];
    this.coordinates = [];
    this.close_up = null;
  }

  get empty() {
    return this.columns.every((name) => !this.series[name][0].length);
  }

  connect() {
    const url = new URL(`/api/run/${encodeURIComponent(this.run)}`, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    url.searchParams.set("columns", this.columns.join(","));
    url.searchParams.set("ticket", this.ticket);
    const socket = (this.socket = new WebSocket(url));
    socket.onmessage = ({ data }) => {
      this.pause = 250;
      this.lost = false;
      this.receive(JSON.parse(data));
    };
    socket.onclose = ({ code }) => {
      if (this.closed || code === 1000 || code === 1008) return;
      this.lost = true;
      this.changed();
      this.timer = setTimeout(() => this.connect(), this.pause);
      this.pause = Math.min(2 * this.pause, LONGEST_PAUSE);
    };
  }

  receive({ fresh, series, events, coordinates, state, range }) {
    if (range) {
      this.close_up = { range, series };
      this.changed();
      return;
    }
    if (fresh) this.forget();
    for (const [name, [steps, values]] of Object.entries(series)) {
      const own = this.series[name];
      for (let k = 0; k < steps.length; k++) {
        own[0].push(steps[k]);
        own[1].push(values[k]);
      }
      if (own[0].length <= MOST) continue;
      const kept = extremes(own[1], MOST / 4);
      this.series[name] = own.map((part) => kept.map((k) => part[k]));
    }
    this.events.push(...events);
    this.coordinates.push(...coordinates);
    this.state = state;
    this.changed();
  }

  /** Asks for all points from step `low` to `high`; null is the whole again. */
  look(low, high) {
    if (low === null) this.close_up = null;
    else if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify([low, high]));
  }

  /** `[steps, values]` of a column, finer where somebody looks closely. */
  column(name) {
    const whole = this.series[name];
    if (!this.close_up) return whole;
    const [low, high] = this.close_up.range;
    const near = this.close_up.series[name] ?? [[], []];
    const before = whole[0].findLastIndex((step) => step < low) + 1;
    const after = whole[0].findIndex((step) => step > high);
    return whole.map((part, k) => [
      ...part.slice(0, before),
      ...near[k],
      ...(after < 0 ? [] : part.slice(after)),
    ]);
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.socket.close();
  }
}
