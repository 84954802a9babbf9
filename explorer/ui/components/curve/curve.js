// A run's curves as they grow. Only rows that this browser has not seen come over the socket.

import { h, themed } from "../shared/dom.js";
import { mount } from "../shared/mount.js";
import uPlot from "./uPlot.esm.js";

const LONGEST_PAUSE = 5000; // ms between two attempts to connect
const HEIGHT = 320;

const newest = (column) => column.findLastIndex((value) => value !== null);

class Curve {
  constructor(element) {
    this.chart = h("div", { class: "chart", "data-testid": "curve" });
    this.note = h("div", { class: "faint note", role: "status" });
    element.append(this.chart, this.note);
    this.pause = 250;
    this.observer = new ResizeObserver(() => this.plot?.setSize(this.room));
    this.observer.observe(this.chart);
    this.awake = () => this.draw();
    document.addEventListener("visibilitychange", this.awake);
  }

  get room() {
    return { width: Math.max(200, this.chart.clientWidth), height: HEIGHT };
  }

  update({ header }) {
    this.header = header;
    this.forget();
    this.socket?.close();
    this.connect();
  }

  /** The chart is built anew: uPlot takes its colours once. */
  restyle() {
    this.plot?.destroy();
    const palette = themed(this.chart, "--st-chart-categorical-colors").split(",");
    const axis = { stroke: themed(this.chart, "--ink"), font: `12px ${themed(this.chart, "--st-font") || "sans-serif"}` };
    const grid = { stroke: themed(this.chart, "--line"), width: 1 };
    const { series, x, y } = this.header;
    this.plot = new uPlot(
      {
        ...this.room,
        scales: { x: { time: false }, y: { range: () => this.range() } },
        axes: [
          { ...axis, grid, ticks: grid, label: x, labelFont: axis.font },
          { ...axis, grid, ticks: grid, label: y, labelFont: axis.font, size: 60 },
        ],
        series: [
          { label: x },
          ...series.map(({ label, colour }, k) => ({
            label,
            stroke: colour ?? palette[k % palette.length],
            width: 2,
            spanGaps: true,
            points: { show: false },
            value: (_, value) => (value == null ? "\u2013" : value.toFixed(1)),
          })),
        ],
        cursor: { drag: { x: true, y: false } },
      },
      this.columns,
      this.chart,
    );
  }

  /**
   * The first tenth of a run falls so far that the rest would be a flat line: once there is a rest,
   * the scale is the rest's.
   */
  range() {
    const [steps, ...curves] = this.columns;
    const from = steps.length > 40 ? Math.floor(steps.length / 10) : 0;
    let [low, high] = [Infinity, -Infinity];
    for (const curve of curves) {
      for (let k = from; k < curve.length; k++) {
        if (curve[k] === null) continue;
        low = Math.min(low, curve[k]);
        high = Math.max(high, curve[k]);
      }
    }
    if (!(low <= high)) return [0, 1];
    const margin = 0.05 * (high - low || 1);
    return [low - margin, high + margin];
  }

  forget() {
    this.offset = 0;
    this.columns = [[], ...this.header.series.map(() => [])];
  }

  connect() {
    const names = ["step", ...this.header.series.map(({ name }) => name)];
    const url = new URL(`/api/run/${encodeURIComponent(this.header.run)}`, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    url.searchParams.set("columns", names.join(","));
    url.searchParams.set("since", this.offset);
    const socket = (this.socket = new WebSocket(url));
    socket.onmessage = ({ data }) => {
      this.pause = 250;
      this.receive(JSON.parse(data));
    };
    socket.onclose = ({ code }) => {
      if (this.closed || socket !== this.socket || code === 1000) return;
      this.tell("Connecting again\u2026");
      this.timer = setTimeout(() => this.connect(), this.pause);
      this.pause = Math.min(2 * this.pause, LONGEST_PAUSE);
    };
  }

  receive({ fresh, rows, offset, state }) {
    if (fresh) this.forget();
    this.offset = offset;
    for (const row of rows) row.forEach((value, k) => this.columns[k].push(value));
    this.draw();
    const waits = !this.columns[0].length && ["queued", "running"].includes(state);
    this.tell(waits ? "Waiting for the first point\u2026" : "");
  }

  draw() {
    if (document.hidden || !this.plot) return;
    this.plot.setData(this.columns);
    // the legend tells the newest values unless somebody points at others
    if (this.plot.cursor.idx == null) this.plot.setLegend({ idxs: this.columns.map(newest) });
  }

  tell(text) {
    this.note.textContent = text;
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.socket?.close();
    this.observer.disconnect();
    document.removeEventListener("visibilitychange", this.awake);
    this.plot?.destroy();
  }
}

const css = (path) => new URL(path, import.meta.url).href;
export default mount(Curve, css("../shared/part.css"), css("./uPlot.min.css"), css("./curve.css"));
