// The connection to the decode service (explorer/live.py).
//
// `ask` is for what a person waits to see: only the newest question is kept while the line is full.
// `batch` is for what may come later: it goes out when nothing is asked. A lost connection comes
// back by itself, and the last question is asked again.

import { unpack } from "./bytes.js";

const PATIENCE = 8000; // ms before a question counts as lost
const LONGEST_PAUSE = 5000; // ms between two attempts to connect
const FRAME = 16; // ms: as many questions are under way as frames fit into the line's delay
const MOST = 8; // questions under way
const APART = 8; // ms between two questions: what no screen would show is not asked
const REMEMBERED = 8; // answers that tell how long the line is

export class Decoder {
  /**
   * onanswer({ header, pixels, note, stamp, requested_at }) for each answer to `ask`;
   * onstate("open" | "lost") when the connection comes and goes.
   */
  constructor(onanswer, onstate = () => {}) {
    Object.assign(this, { onanswer, onstate });
    this.stamp = 0;
    this.postedAt = -Infinity;
    this.soon = null;
    this.asked = new Map(); // stamp -> { at, note }
    this.running = new Map(); // stamp -> done, of batches
    this.wish = null;
    this.last = null;
    this.batches = [];
    this.delays = [];
    this.pause = 250;
  }

  /** Connects with the ticket of this visit; with another one, once more. */
  enter(ticket) {
    if (ticket === this.ticket) return;
    this.ticket = ticket;
    clearTimeout(this.timer);
    this.socket?.close();
    this.abandon();
    this.connect();
  }

  /** Asks for a picture; `note` comes back with the answer. */
  ask(question, note = {}) {
    this.wish = this.last = { question, note };
    this.pump();
  }

  /** What was asked is no longer waited for. */
  drop() {
    this.asked.clear();
    this.wish = this.last = null;
  }

  /**
   * Resolves to { header, pixels }, or to null where it could not be had: something newer went first,
   * unless it is to be `kept`.
   */
  batch(question, kept = false) {
    return new Promise((done) => {
      this.batches.push({ question, done, kept });
      this.pump();
    });
  }

  /** Gives up the batches that have not gone out and need not be kept. */
  clearBatches() {
    const kept = this.batches.filter((batch) => batch.kept);
    for (const { done, kept } of this.batches.splice(0)) if (!kept) done(null);
    this.batches.push(...kept);
  }

  /** Whether a newer question waits for those under way. */
  get queued() {
    return this.wish !== null;
  }

  /** Whether a batch is under way or waits to be. */
  get batching() {
    return this.batches.length > 0 || this.running.size > 0;
  }

  /** Questions that may be under way: on a long line more, or frames would wait for the line. */
  get window() {
    return Math.min(MOST, 1 + Math.floor(Math.min(...this.delays, MOST * FRAME) / FRAME));
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    clearTimeout(this.soon);
    this.socket?.close();
    this.abandon();
    for (const { done } of this.batches.splice(0)) done(null);
  }

  connect() {
    const url = new URL("/api/decode", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    url.searchParams.set("ticket", this.ticket);
    const socket = (this.socket = new WebSocket(url));
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.pause = 250;
      this.delays = [0]; // one at a time until the line is known
      this.onstate("open");
      this.wish ??= this.last;
      this.pump();
    };
    socket.onmessage = ({ data }) => this.receive(unpack(data));
    socket.onclose = () => {
      if (socket !== this.socket) return;
      this.abandon();
      if (this.closed) return;
      this.onstate("lost");
      this.timer = setTimeout(() => this.connect(), this.pause);
      this.pause = Math.min(2 * this.pause, LONGEST_PAUSE);
    };
  }

  pump() {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    const now = performance.now();
    for (const [stamp, { at }] of this.asked) if (now - at > PATIENCE) this.asked.delete(stamp);
    if (this.wish && this.asked.size < this.window) {
      const early = this.postedAt + APART - now;
      if (early > 0) {
        this.soon ??= setTimeout(() => {
          this.soon = null;
          this.pump();
        }, early);
        return;
      }
      this.postedAt = now;
      const { question, note } = this.wish;
      this.wish = null;
      this.asked.set(this.post(question), { at: now, note });
    } else if (!this.wish && !this.asked.size && !this.running.size && this.batches.length) {
      const { question, done } = this.batches.shift();
      this.running.set(this.post({ ...question, batch: true }), done);
    }
  }

  post(question) {
    this.socket.send(JSON.stringify({ stamp: ++this.stamp, ...question }));
    return this.stamp;
  }

  receive({ header, body: pixels }) {
    const { stamp } = header;
    const done = this.running.get(stamp);
    const entry = this.asked.get(stamp);
    if (done) {
      this.running.delete(stamp);
      done(header.error ? null : { header, pixels });
    } else if (entry) {
      // questions are answered in order: earlier ones were passed over
      for (const key of this.asked.keys()) if (key <= stamp) this.asked.delete(key);
      this.delays.push(performance.now() - entry.at - (header.ms ?? 0));
      if (this.delays.length > REMEMBERED) this.delays.shift();
      this.onanswer({ header, pixels, note: entry.note, stamp, requested_at: entry.at });
    }
    this.pump();
  }

  /** Nothing that was under way will be answered. */
  abandon() {
    this.asked.clear();
    for (const done of this.running.values()) done(null);
    this.running.clear();
  }
}
