/**
 * Start a `TrainingLoop` from its source: in a worker, else in the page's own time. `hear` gets
 * what it posts; `send` takes messages at any time; `place` is "worker" or "page".
 */
export function trainingHost(source, hear) {
  const unanswered = [];
  let answered = false;
  let deliver, end;

  const answer = (told) => {
    answered = true;
    unanswered.length = 0;
    hear(told);
  };
  const host = {
    place: "worker",
    send(message) {
      unanswered.push(message);
      deliver?.(message);
    },
    stop: () => end(),
  };
  try {
    const worker = new Worker(scriptAddress(source, "serveTraining(self);"));
    deliver = (message) => worker.postMessage(message);
    end = () => worker.terminate();
    worker.onmessage = ({ data }) => answer(data);
    // Some browsers refuse a worker only after its construction.
    worker.onerror = () => {
      if (answered || host.place === "page") return;
      worker.terminate();
      startInPage();
    };
  } catch {
    startInPage();
  }

  async function startInPage() {
    let stopped = false;
    host.place = "page";
    deliver = null;
    end = () => (stopped = true);
    const { TrainingLoop } = await import(scriptAddress(source, "export { TrainingLoop };"));
    // The page needs most of the time to draw and to listen: slices are short, posts are rare.
    const later = (turn) => setTimeout(() => stopped || turn(), 10);
    const loop = new TrainingLoop((told) => stopped || answer(told), later, 6);
    deliver = (message) => loop.receive({ ...message, interval: 500 });
    [...unanswered].forEach(deliver);
  }
  return host;
}

function scriptAddress(source, entry) {
  return URL.createObjectURL(new Blob([source, "\n", entry], { type: "text/javascript" }));
}
