/** What there is to see in the folding ruler, step by step. */

const AS_IT_COMES = { sections: 10, table_friction: 0.3, hinge_friction: 3e-4, ghost: "none" };

/** Return the steps; `replay` pulls as it is set, `fold` folds the ruler. */
export function rulerTour({ replay, fold }) {
  return [
    {
      words: "Pull slowly and steadily.",
      look:
        "The sections near the hand open until they lie in line with the pull; those near the " +
        "pin do not move. The load curve bulges upwards, which is called lazy.",
      set: { ...AS_IT_COMES, speed: 0.1, amplitude: 0 },
      act: replay,
    },
    {
      words: "Pull quickly, with a hand that trembles.",
      look:
        "At first only the outer sections open, as before. When the hand stops, the others " +
        "follow: the ruler flies on. Compare both curves.",
      set: { ...AS_IT_COMES, speed: 2, amplitude: 0.003 },
      act: replay,
    },
    {
      words: "Take away most of the friction on the table, and pull slowly again.",
      look: "The curve is still lazy: for a slow pull it counts that there is friction, not how much.",
      set: { ...AS_IT_COMES, table_friction: 0.05, speed: 0.1, amplitude: 0 },
      act: replay,
    },
    {
      words: "Now you: hit the ghost of the quick pull. Drag the ring.",
      look:
        "The score is how far your sections' openings are from the ghost's, on average. It " +
        "counts once the ruler is at rest.",
      set: { ...AS_IT_COMES, ghost: "quick and jerky" },
      act: fold,
    },
  ];
}
