// The curves of one run or several, as they grow: a chart, its schedule under it, a heat strip.

import { h, later, themed } from "../shared/dom.js";
import { mount } from "../shared/mount.js";
import { Feed } from "./feed.js";
import { Strip } from "./strip.js";
import uPlot from "./uPlot.esm.js";

const HEIGHT = 320;
const LOW = 110; // of a schedule
const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3]]; // runs are told apart without colour, too

const newest = (column) => column.findLastIndex((value) => value != null);

class Curve {
  constructor(element) {
    this.chart = h("div", { class: "chart", "data-testid": "curve" });
    this.under = h("div", { class: "under" });
    this.strip = new Strip();
    this.note = h("div", { class: "faint note", role: "status" });
    element.append(this.chart, this.strip.element, this.under, this.note);
    this.feeds = [];
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.chart);
    this.awake = () => this.draw();
    document.addEventListener("visibilitychange", this.awake);
    this.zoomed = later(() => this.look(), 150);
  }

  update({ header }) {
    this.header = header;
    for (const feed of this.feeds) feed.close();
    const { series, schedule, runs, ticket } = header;
    const names = [...new Set([...series, ...schedule].map(({ name }) => name))];
    this.feeds = runs.map(({ id }) => new Feed(id, names, ticket, () => this.draw()));
  }

  /** Charts are built anew: uPlot takes its colours once. */
  restyle() {
    this.close_plots();
    const { series, schedule, y } = this.header;
    this.plot = this.build(this.chart, HEIGHT, series, y, true);
    this.low = schedule.map((one) => this.build(this.under, LOW, [one], one.label, false));
    this.draw();
  }

  build(place, height, series, label, main) {
    const palette = themed(this.chart, "--st-chart-categorical-colors").split(",");
    const axis = { stroke: themed(this.chart, "--ink"), font: `12px ${themed(this.chart, "--st-font") || "sans-serif"}` };
    const grid = { stroke: themed(this.chart, "--line"), width: 1 };
    const { runs, x } = this.header;
    const lines = runs.flatMap((run, r) =>
      series.map((one, k) => ({
        label: runs.length > 1 ? `${run.title}, ${one.label}` : one.label,
        stroke: palette[(runs.length > 1 ? r : k) % palette.length],
        dash: runs.length > 1 ? DASHES[k % DASHES.length] : [],
        width: 2,
        spanGaps: true,
        points: { show: false },
        value: (_, value) => (value == null ? "\u2013" : main ? value.toFixed(1) : Number(value.toPrecision(3)).toString()),
      })),
    );
    const plot = new uPlot(
      {
        width: this.width,
        height,
        scales: { x: { time: false }, y: main ? { range: (u) => this.range(u) } : {} },
        axes: [
          { ...axis, grid, ticks: grid, label: main ? x : undefined, labelFont: axis.font },
          { ...axis, grid, ticks: grid, label: main ? label : undefined, labelFont: axis.font, size: main ? 60 : 90 },
        ],
        series: [{ label: x }, ...lines],
        cursor: { drag: { x: true, y: false }, sync: { key: `${this.header.key}`, scales: ["x", null] } },
        hooks: {
          draw: [(u) => this.mark(u), () => main && this.drawn()],
          setScale: [(u, name) => name === "x" && this.zoomed()],
        },
      },
      [[], ...lines.map(() => [])],
      place,
    );
    return Object.assign(plot, { names: series.map(({ name }) => name) });
  }

  get width() {
    return Math.max(200, this.chart.clientWidth);
  }

  resize() {
    this.plot?.setSize({ width: this.width, height: HEIGHT });
    for (const plot of this.low ?? []) plot.setSize({ width: this.width, height: LOW });
  }

  /**
   * The first tenth of a run falls so far that the rest would be a flat line: once there is a rest,
   * the scale is the rest's.
   */
  range(plot) {
    const [steps, ...curves] = plot.data;
    // scales.x is still the last one while this is asked
    let [first, last] = plot.series[0].idxs;
    const whole = !first && last >= steps.length - 1;
    if (whole && steps.length > 40) first = steps.findIndex((step) => step >= steps[last] / 10);
    let [low, high] = [Infinity, -Infinity];
    for (const curve of curves) {
      for (let k = first; k <= last; k++) {
        if (curve[k] == null) continue;
        low = Math.min(low, curve[k]);
        high = Math.max(high, curve[k]);
      }
    }
    if (!(low <= high)) return [0, 1];
    const margin = 0.05 * (high - low || 1);
    return [low - margin, high + margin];
  }

  /** A line where somebody changed something. */
  mark(plot) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = themed(this.chart, "--accent");
    ctx.setLineDash([4, 4]);
    for (const [step] of this.feeds.flatMap((feed) => feed.events)) {
      const x = plot.valToPos(step, "x", true);
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  }

  /** Who draws a range on the chart sees all points in it. */
  look() {
    const { min, max } = this.plot?.scales.x ?? {};
    const steps = this.plot?.data[0] ?? [];
    if (min == null || !steps.length) return;
    const whole = min <= steps[0] && max >= steps.at(-1);
    if (whole && !this.near) return;
    this.near = !whole;
    for (const feed of this.feeds) whole ? feed.look(null) : feed.look(Math.floor(min), Math.ceil(max));
  }

  draw() {
    if (document.hidden || !this.plot) return;
    this.began = performance.now();
    for (const plot of [this.plot, ...this.low]) {
      const tables = this.feeds.flatMap((feed) => plot.names.map((name) => feed.column(name)));
      plot.setData(uPlot.join(tables), !this.near);
      if (this.near) plot.redraw();
      // the legend tells the newest values unless somebody points at others
      if (plot.cursor.idx == null) plot.setLegend({ idxs: plot.data.map(newest) });
    }
    this.tell();
  }

  /** uPlot draws, and settles where a step lies, some time after it is given its data. */
  drawn() {
    if (!this.plot) return;
    this.strip.draw(this.header.strip ? this.feeds[0].coordinates : [], this.plot);
    this.chart.dataset.drawn = (performance.now() - this.began).toFixed(1); // ms
  }

  tell() {
    const waits = this.feeds.some((feed) => feed.empty && ["queued", "running"].includes(feed.state));
    const changes = this.feeds.flatMap((feed) => feed.events.map(([, words]) => words));
    if (this.feeds.some((feed) => feed.lost)) this.note.textContent = "Connecting again\u2026";
    else this.note.textContent = waits ? "Waiting for the first point\u2026" : changes.join(" \u00b7 ");
  }

  close_plots() {
    for (const plot of [this.plot, ...(this.low ?? [])]) plot?.destroy();
  }

  close() {
    this.zoomed.cancel();
    for (const feed of this.feeds) feed.close();
    this.observer.disconnect();
    document.removeEventListener("visibilitychange", this.awake);
    this.close_plots();
  }
}

const css = (path) => new URL(path, import.meta.url).href;
export default mount(Curve, css("../shared/part.css"), css("./uPlot.min.css"), css("./curve.css"));
