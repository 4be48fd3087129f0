/** What there is to see of a sentence in a language model, step by step. */

const WHOLE = { length: 0, start: 19 };
const FACT = { sentence: "a fact", token: 7, depth: 30 };

export const LANGUAGE_TOUR = [
  {
    words:
      "“The capital of Italy is the city of …”: start at the last token, after the last block.",
    look:
      "A column is a token, a row a block. The framed cell, at the bottom right, holds what the " +
      "model says next: “Rome”.",
    set: { ...WHOLE, ...FACT },
  },
  {
    words: "Go up to block 20.",
    look:
      "After this block the model would still say something else. The line of text has the rank " +
      "of “Rome” here: it stands far down the list of what may come next.",
    set: { ...WHOLE, ...FACT, depth: 20 },
  },
  {
    words: "Go down again, to block 29.",
    look:
      "“Rome” is first, and stays so. The stepped line shows this place for every token: from " +
      "which block on the final word is the first.",
    set: { ...WHOLE, ...FACT, depth: 29 },
  },
  {
    words: "Take another sentence: the days of the week.",
    look:
      "That a comma follows “Wednesday” or “Thursday” is decided long before the last block; " +
      "that “Friday” comes next, only by the last.",
    set: { ...WHOLE, sentence: "the week", token: 7, depth: 30 },
  },
  {
    words: "Leave a block out, from the middle: block 19.",
    look: "The model says the same at every place, and on other texts its loss rises only a little.",
    set: { ...FACT, start: 19, length: 1 },
  },
  {
    words: "Leave out the first block instead.",
    look: "Now the model says something else at every place, and its loss is more than tripled.",
    set: { ...FACT, start: 1, length: 1 },
  },
];
