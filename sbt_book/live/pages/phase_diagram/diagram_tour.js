/** What there is to see in the phase diagrams, step by step. */

export const DIAGRAM_TOUR = [
  {
    words: "Start at the top right: a network with ReLU and no noise.",
    look:
      "Its load curve (blue) bulges upwards: the deep layers separate the classes most. Such a " +
      "network is called lazy.",
    set: { noise_axis: "dropout", noise: 0, slope: 0 },
  },
  {
    words: "Add noise: go left along the top row, to dropout p = 0.12.",
    look:
      "The curve is nearly straight now: every layer does about the same. The chain that matches " +
      "it is shaken harder than the one before.",
    set: { noise_axis: "dropout", noise: 0.12, slope: 0 },
  },
  {
    words: "Add more: p = 0.3.",
    look:
      "The curve sags: the shallow layers do most, and the network is called active. Its test " +
      "accuracy is lower than at both steps before.",
    set: { noise_axis: "dropout", noise: 0.3, slope: 0 },
  },
  {
    words: "Now take the nonlinearity away: the bottom row, where the network is linear (α = 1).",
    look:
      "The curve sags even without dropout, and the chain comes less close: the filled corners of " +
      "the cells mark where none of the chains does.",
    set: { noise_axis: "dropout", noise: 0, slope: 1 },
  },
  {
    words: "Choose another source of noise: noise in the data.",
    look:
      "Along the top row, from right to left, the same order as with dropout: lazy, straight, " +
      "active.",
    set: { noise_axis: "data_noise", noise: 0.3, slope: 0 },
  },
];
