import { Trainer } from "./trainer.js";

/**
 * Trains in slices, listens between them and posts what it measures: in a Web Worker, or in the
 * page itself where workers cannot start. `post` sends an object to the page; `later` calls a
 * function when messages and pictures have had their turn; a slice lasts `slice` milliseconds.
 */
export class TrainingLoop {
  constructor(post, later, slice) {
    Object.assign(this, { post, later, slice, running: false, waiting: false, interval: 125 });
    this.last = { steps: 0, time: 0 };
    this.measuring = 0; // milliseconds that the last measurement took
    this.turn = () => {
      this.waiting = false;
      if (this.running) this.train();
    };
  }

  /** Act on a message; each of its fields may be left out:
   *  `fresh` ({train, test, architecture, number}): begin with a new network of that number;
   *  `settings`: those of `Trainer`; `running`; `interval`: milliseconds between two posts. */
  receive({ fresh, settings, running = this.running, interval = this.interval }) {
    if (settings) this.settings = { ...this.settings, ...settings };
    if (fresh) {
      this.number = fresh.number;
      this.trainer = new Trainer(fresh.train, fresh.test, fresh.architecture, this.settings);
    }
    Object.assign(this.trainer.settings, this.settings);
    if (fresh || (running && !this.running)) this.begin();
    const paused = this.running && !running;
    Object.assign(this, { running, interval });
    // While it trains, the next post is near anyway.
    if (fresh || paused || (settings && !running)) this.tell();
    if (running && !this.waiting) this.wait();
  }

  wait() {
    this.waiting = true;
    this.later(this.turn);
  }

  begin() {
    this.loss = 0;
    this.last = { steps: this.trainer.steps, time: performance.now() };
  }

  train() {
    const end = performance.now() + this.slice;
    do this.loss += this.trainer.step();
    while (performance.now() < end);
    // On a slow machine measuring takes longer: most of the time is for training all the same.
    const interval = Math.max(this.interval, Math.min(9 * this.measuring, 4 * this.interval));
    if (performance.now() - this.last.time >= interval) this.tell();
    this.wait();
  }

  /** Post what the network is like, and the mean loss and the pace since the last post. */
  tell() {
    const { trainer, last, number } = this;
    const taken = trainer.steps - last.steps;
    const now = performance.now();
    this.post({
      ...trainer.measure(),
      number,
      loss: taken ? this.loss / taken : null,
      pace: taken ? (1000 * taken) / (now - last.time) : null,
    });
    this.begin();
    this.measuring = this.last.time - now;
  }
}

/** Run a loop in the worker whose global scope this is. */
export function serveTraining(scope) {
  // A message to oneself returns at once; a timeout would wait for 4 ms each time.
  const { port1, port2 } = new MessageChannel();
  const later = (turn) => {
    port1.onmessage = turn;
    port2.postMessage(null);
  };
  const loop = new TrainingLoop((told) => scope.postMessage(told), later, 30);
  scope.onmessage = ({ data }) => loop.receive(data);
}
