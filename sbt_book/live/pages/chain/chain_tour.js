/** What there is to see in the chain, step by step. */

const ONE_PULL = {
  earthquakes: false,
  blocks: 7,
  damping: 1,
  spring_constant: 0.1,
  friction_right: 0.003,
  friction_left: 0.004,
  drive: 0,
  skewness: 0,
};

/** Return the steps; `replay` shows the pull from its start, `quake` pulls for ever. */
export function chainTour({ replay, shake, quake }) {
  return [
    {
      words: "Pull on a quiet table.",
      look:
        "Only the springs near the hand stretch: friction keeps a part of the pull at every " +
        "block. The load curve bulges upwards, which is called lazy.",
      set: { ...ONE_PULL, noise: 0.0005 },
      act: replay,
    },
    {
      words: "Pull again, and shake the table while you do.",
      look: "All springs stretch about alike now, and the load curve is nearly straight.",
      set: { ...ONE_PULL, noise: 0.003 },
      act: replay,
    },
    {
      words: "Shake harder, on a table that is much rougher to the left than to the right.",
      look:
        "The springs at the wall stretch most, and the curve sags: active. The dashed curve is " +
        "where shaking leads in the end.",
      set: { ...ONE_PULL, friction_left: 0.015, noise: 0.006 },
      act: replay,
    },
    {
      words: "Go back to the quiet table, and shake it for a moment when the chain is at rest.",
      look: "The lazy curve loses its bulge. Tap a block: the nudge moves its neighbours, too.",
      set: { ...ONE_PULL, noise: 0.0005, time: 700 },
      act: shake,
    },
    {
      words: "Take the wall away and pull for ever: earthquakes.",
      look:
        "Nearly half of the slips move one block alone, a few the whole chain. Compute a thousand, and " +
        "see how the sizes are distributed.",
      set: { ...ONE_PULL, earthquakes: true, blocks: 20, damping: 0.1, weakening: 0.2 },
      act: quake,
    },
  ];
}
