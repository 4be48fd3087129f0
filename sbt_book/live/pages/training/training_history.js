/** What a training was like so far: small charts over its steps. */

import { element, svg } from "../shared/controls.js";
import { REGIME_TOLERANCE, signed } from "../shared/shape.js";

const STRIP = { width: 240, height: 110, left: 40, right: 6, top: 6, bottom: 20 };
const MOST = 400; // points kept; when there are more, every second one goes

// What the charts show: each line reads a value from a point; `words` is the caption's.
const STRIPS = [
  {
    label: "Convexity",
    range: [-0.4, 0.4],
    ticks: [
      [-0.3, "lazy"],
      [0, "0"],
      [0.3, "active"],
    ],
    band: [-REGIME_TOLERANCE, REGIME_TOLERANCE],
    lines: [{ style: "sbt-own", read: (point) => point.convexity }],
    words: (point) => (Number.isFinite(point.convexity) ? signed(point.convexity) : "none"),
  },
  {
    label: "Accuracy (dashed: test)",
    range: [0, 1],
    ticks: [
      [0, "0"],
      [0.5, "50 %"],
      [1, "100 %"],
    ],
    lines: [
      { style: "sbt-own", read: (point) => point.accuracy_train },
      { style: "sbt-other", read: (point) => point.accuracy_test },
    ],
    words: ({ accuracy_train, accuracy_test }) =>
      `${percent(accuracy_train)}, ${percent(accuracy_test)}`,
  },
  {
    label: "Loss",
    range: [-4, 1],
    ticks: [
      [-4, "10⁻⁴"],
      [-2, "10⁻²"],
      [0, "1"],
    ],
    lines: [{ style: "sbt-own", read: (point) => point.loss && Math.log10(point.loss) }],
    words: ({ loss }) => (loss === null ? "" : loss.toPrecision(2)),
  },
];

function percent(fraction) {
  return fraction === null ? "none" : `${Math.round(100 * fraction)} %`;
}

/** Append small charts of what `add` is told: `steps`, `convexity`, accuracies and `loss`. */
export function trainingHistory(parent) {
  const root = element("div", { class: "sbt-training-history" }, parent);
  const charts = STRIPS.map((strip) => stripChart(root, strip));
  let points = [];
  let turns = [];
  let spacing = 0;

  const draw = () => charts.forEach((chart) => chart(points, turns));
  return {
    add(point) {
      const last = points.at(-1);
      // The last point is always the newest; those before it keep their distance.
      const close = points.length > 1 && last.steps - points.at(-2).steps < spacing;
      if (close || last?.steps === point.steps) points.pop();
      points.push(point);
      if (points.length > MOST) {
        points = points.filter((_, place) => place % 2 === 0);
        spacing = (2 * points.at(-1).steps) / MOST;
      }
      draw();
    },
    /** Remember that a knob was turned now. */
    mark() {
      const steps = points.at(-1)?.steps;
      if (steps > 0 && steps !== turns.at(-1)) turns.push(steps);
    },
    clear() {
      points = [];
      turns = [];
      spacing = 0;
    },
  };
}

function stripChart(parent, { label, lines, range, ticks, band, words }) {
  const { width, height, left, right, top, bottom } = STRIP;
  const figure = element("figure", {}, parent);
  const caption = element("figcaption", {}, figure);
  const name = element("span", {}, caption, label);
  const shown = element("span", { class: "sbt-value" }, caption);
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" }, figure);
  const [low, high] = range;
  const floor = height - bottom;
  const y = (value) => {
    const inside = Math.min(Math.max(value, low), high);
    return (floor - ((floor - top) * (inside - low)) / (high - low)).toFixed(1);
  };
  if (band) {
    const box = { x: left, y: y(band[1]), width: width - left - right };
    svg("rect", { ...box, height: y(band[0]) - y(band[1]), class: "sbt-band" }, picture);
  }
  const axes = svg("g", { class: "sbt-axes" }, picture);
  for (const [value, text] of ticks) {
    svg("path", { d: `M${left} ${y(value)}H${width - right}` }, axes);
    svg("text", { x: left - 4, y: Number(y(value)) + 4, "text-anchor": "end" }, axes, text);
  }
  const steps = svg("text", { x: width - right, y: height - 4, "text-anchor": "end" }, axes);
  svg("text", { x: left, y: height - 4 }, axes, "0");
  const marks = svg("path", { class: "sbt-training-turns" }, picture);
  const paths = lines.map(({ style }) => svg("path", { class: `sbt-curve ${style}` }, picture));

  return (points, turns) => {
    const last = points.at(-1);
    const x = (step) => left + ((width - left - right) * step) / Math.max(last.steps, 1);
    lines.forEach(({ read }, place) => {
      const known = points.filter((point) => Number.isFinite(read(point)));
      const path = known.map((point) => `${x(point.steps).toFixed(1)} ${y(read(point))}`);
      paths[place].setAttribute("d", path.length ? `M${path.join("L")}` : "");
    });
    marks.setAttribute("d", turns.map((step) => `M${x(step).toFixed(1)} ${top}V${floor}`).join(""));
    steps.textContent = `step ${last.steps.toLocaleString("en-GB")}`;
    shown.textContent = words(last);
    picture.setAttribute("aria-label", `${name.textContent}: ${words(last)}`);
  };
}
