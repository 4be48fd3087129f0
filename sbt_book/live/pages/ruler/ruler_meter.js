/** Two gauges that tell how fast and how jerkily the hand moves, in words and as bars. */

import { element } from "../shared/controls.js";

/**
 * What a speed and an acceleration mean to a ruler: slow below sqrt(mu g a), at which a hinge
 * slides half a section's length, quick above 2.8 of it; jerky where the hand's acceleration is
 * several times the mu g that friction alone can pass on.
 */
const GAUGES = [
  {
    name: "Top speed",
    unit: "m/s",
    low: 0.02,
    high: 5,
    borders: [1.0, 2.8],
    zones: ["slow", "brisk", "quick"],
    key: "speed",
    measure: (ruler) => Math.sqrt(ruler.table_friction * 9.81 * ruler.section_length),
  },
  {
    name: "Top acceleration",
    unit: "m/s²",
    low: 0.2,
    high: 120,
    borders: [2.0, 6.0],
    zones: ["steady", "uneven", "jerky"],
    key: "acceleration",
    measure: (ruler) => ruler.table_friction * 9.81,
  },
];

/** Append the gauges; `draw` shows what the hand does now and the most it did in this pull. */
export function rulerMeter(parent) {
  const holder = element("div", { class: "sbt-ruler-meter" }, parent);
  const gauges = GAUGES.map((gauge) => {
    const row = element("div", { class: "sbt-ruler-gauge" }, holder);
    element("span", { class: "sbt-name" }, row, gauge.name);
    const words = element("span", { class: "sbt-value" }, row);
    const track = element("div", { class: "sbt-ruler-track", "aria-hidden": "true" }, row);
    const bar = element("div", { class: "sbt-ruler-now" }, track);
    const mark = element("div", { class: "sbt-ruler-most" }, track);
    const zones = gauge.zones.map((zone) => element("span", {}, track, zone));
    return { ...gauge, words, bar, mark, zones };
  });

  function draw(ruler, now, highest) {
    for (const { low, high, borders, zones, words, bar, mark, key, unit, measure } of gauges) {
      const share = (value) =>
        Math.min(Math.max(Math.log(value / low) / Math.log(high / low), 0), 1) * 100;
      const edges = [0, ...borders.map((border) => share(border * measure(ruler))), 100];
      bar.style.width = `${share(now[key])}%`;
      mark.style.left = `${share(highest[key])}%`;
      mark.style.display = highest[key] > low ? "" : "none";
      const zone = highest[key] > 0 ? zoneOf(highest[key] / measure(ruler), borders) : -1;
      zones.forEach((span, each) => {
        span.style.left = `${edges[each]}%`;
        span.style.width = `${edges[each + 1] - edges[each]}%`;
        span.classList.toggle("sbt-ruler-reached", each === zone);
      });
      const most = `${meterDigits(highest[key])} ${unit}`;
      words.textContent = zone < 0 ? "at rest" : `${most}, ${zones[zone].textContent}`;
    }
  }

  return { draw };
}

/** Return how a whole pull was: "slow and steady", "quick and jerky" or the like. */
export function kindOfPull(ruler, highest) {
  const names = GAUGES.map(
    ({ zones, borders, key, measure }) => zones[zoneOf(highest[key] / measure(ruler), borders)],
  );
  return names.join(" and ");
}

function zoneOf(value, borders) {
  return borders.filter((border) => value >= border).length;
}

function meterDigits(value) {
  return value < 10 ? value.toPrecision(2) : value.toFixed(0);
}
