// The connection to the decode service (explorer/live.py).
//
// `ask` is for what a person waits to see: while an answer is under way only the newest question is
// kept. `batch` is for what may come later: it goes out when nothing else is under way. A lost
// connection comes back by itself, and the last question is asked again.

import { unpack } from "./bytes.js";

const PATIENCE = 8000; // ms before a question counts as lost; the first one may wait for torch
const LONGEST_PAUSE = 5000; // ms between two attempts to connect

export class Decoder {
  /**
   * onanswer({ header, pixels, note, stamp, requested_at }) for each answer to `ask`;
   * onstate("open" | "lost") when the connection comes and goes.
   */
  constructor(onanswer, onstate = () => {}) {
    Object.assign(this, { onanswer, onstate });
    this.stamp = 0;
    this.flying = new Map(); // stamp -> { at, note, done }: note for a question, done for a batch
    this.wish = null;
    this.last = null;
    this.batches = [];
    this.window = 1;
    this.pause = 250;
    this.connect();
  }

  /** Asks for a picture; `note` comes back with the answer. */
  ask(question, note = {}) {
    this.wish = this.last = { question, note };
    this.pump();
  }

  /** Resolves to { header, pixels }, or to null where something newer went first. */
  batch(question) {
    return new Promise((done) => {
      this.batches.push({ question, done });
      this.pump();
    });
  }

  /** Gives up the batches that have not gone out. */
  clearBatches() {
    for (const { done } of this.batches.splice(0)) done(null);
  }

  /** Whether a newer question waits for the one under way. */
  get queued() {
    return this.wish !== null;
  }

  /** Whether a batch is under way or waits to be. */
  get batching() {
    return this.batches.length > 0 || [...this.flying.values()].some(({ done }) => done);
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.socket.close();
    this.forget();
    this.clearBatches();
  }

  connect() {
    const url = new URL("/api/decode", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    this.socket = new WebSocket(url);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => {
      this.pause = 250;
      this.onstate("open");
      this.wish ??= this.last;
      this.pump();
    };
    this.socket.onmessage = ({ data }) => this.receive(unpack(data));
    this.socket.onclose = () => {
      this.forget();
      if (this.closed) return;
      this.onstate("lost");
      this.timer = setTimeout(() => this.connect(), this.pause);
      this.pause = Math.min(2 * this.pause, LONGEST_PAUSE);
    };
  }

  pump() {
    if (this.socket.readyState !== WebSocket.OPEN) return;
    const now = performance.now();
    for (const [stamp, { at }] of this.flying) if (now - at > PATIENCE) this.forget(stamp);
    if (this.wish && this.flying.size < this.window) {
      const { question, note } = this.wish;
      this.wish = null;
      this.post(question, { note });
    } else if (!this.wish && !this.flying.size && this.batches.length) {
      const { question, done } = this.batches.shift();
      this.post(question, { done });
    }
  }

  post(question, entry) {
    const stamp = ++this.stamp;
    this.flying.set(stamp, { at: performance.now(), ...entry });
    this.socket.send(JSON.stringify({ stamp, ...question }));
  }

  receive({ header, body: pixels }) {
    const entry = this.flying.get(header.stamp);
    this.flying.delete(header.stamp);
    this.forget(header.stamp); // the server answers in order: earlier ones were passed over
    if (entry) {
      // over a slow line one question at a time would halve the frames: keep a few under way
      const line = performance.now() - entry.at - (header.ms ?? 0);
      this.window = 1 + Math.min(3, Math.floor(line / 30));
      if (entry.done) entry.done(header.error ? null : { header, pixels });
      else this.onanswer({ header, pixels, note: entry.note, stamp: header.stamp, requested_at: entry.at });
    }
    this.pump();
  }

  /** Lets go of every question up to a stamp. */
  forget(stamp = Infinity) {
    for (const [key, entry] of this.flying) {
      if (key > stamp) continue;
      this.flying.delete(key);
      entry.done?.(null);
    }
  }
}
